// Inbox: what other threads want a reactor to do, a lock-free list that its thread takes as a whole.
//
// Threads: push() any thread; the rest the owner's.
// States of head_: null (the owner is awake and the list is empty); &asleep_ (the owner sleeps, or is about to);
// &closed_ (for ever); else the newest message. push() goes from any but closed to "newest message"; the owner goes
// from any to null or closed, and from null to asleep.
#pragma once

#include <atomic>
#include <cstdint>

namespace gyre {

class Inbox {
 public:
  // One message; it is the inbox's from push() until it is delivered.
  struct Message {
    Message* next = nullptr;
    // Called on the owner's thread. `wanted` is false if the inbox closed first: then only to give the message back.
    void (*deliver)(Message& message, bool wanted) noexcept = nullptr;
  };

  enum class Pushed : std::uint8_t {
    quietly,   // the owner is awake and will see it
    must_wake, // the owner sleeps; only one of all pushers is told
    refused,   // the inbox is closed; the message stays the pusher's
  };

  Inbox() noexcept = default;
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  // Any thread.
  [[nodiscard]] Pushed push(Message& message) noexcept {
    Message* head = head_.load(std::memory_order_relaxed);
    do {
      if (head == &closed_) return Pushed::refused;
      message.next = head == &asleep_ ? nullptr : head;
      // release: pairs with the acquire in take(), which then sees what is in the message.
    } while (!head_.compare_exchange_weak(head, &message, std::memory_order_release,
                                          std::memory_order_relaxed));
    return head == &asleep_ ? Pushed::must_wake : Pushed::quietly;
  }

  // All messages so far, oldest first; null if there are none. The owner counts as awake from here on.
  Message* take() noexcept {
    if (head_.load(std::memory_order_relaxed) == nullptr) return nullptr;
    return in_order(head_.exchange(nullptr, std::memory_order_acquire));
  }

  // The owner is about to sleep. False if there are messages: then it must not.
  [[nodiscard]] bool fall_asleep() noexcept {
    Message* expected = nullptr;
    // Relaxed: a pusher who finds the owner asleep reads nothing that the owner wrote.
    return head_.compare_exchange_strong(expected, &asleep_, std::memory_order_relaxed) ||
           expected == &asleep_;
  }

  // Refuses all further messages and returns those that are left, oldest first.
  Message* close() noexcept {
    return in_order(head_.exchange(&closed_, std::memory_order_acquire));
  }

 private:
  Message* in_order(Message* newest) const noexcept {
    if (newest == &asleep_ || newest == &closed_) return nullptr;
    Message* oldest = nullptr;
    while (newest != nullptr) {
      Message* const next = newest->next;
      newest->next = oldest;
      oldest = newest;
      newest = next;
    }
    return oldest;
  }

  std::atomic<Message*> head_{nullptr};
  Message asleep_;
  Message closed_;
};

}  // namespace gyre
