// Inbox: what other threads want a reactor to do, a lock-free list that its thread takes as a whole.
//
// Threads: push() any thread; the rest the owner's.
// States of head_: null (the owner is awake and the list empty); &asleep_ (the owner sleeps, or is about to); else the
// newest message. push() moves any state to "newest message"; the owner moves any to null, and null to asleep.
#pragma once

#include <atomic>

namespace gyre {

class Inbox {
 public:
  // One message; lives until `deliver` has been called on the owner's thread.
  struct Message {
    Message* next = nullptr;
    void (*deliver)(Message& message) noexcept = nullptr;
  };

  Inbox() noexcept = default;
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  // Any thread. True if the owner sleeps and has to be woken, which only one of the pushers is told.
  [[nodiscard]] bool push(Message& message) noexcept {
    Message* head = head_.load(std::memory_order_relaxed);
    do {
      message.next = head == &asleep_ ? nullptr : head;
      // release: pairs with the acquire in take(), which then sees the message's contents.
    } while (!head_.compare_exchange_weak(head, &message, std::memory_order_release,
                                          std::memory_order_relaxed));
    return head == &asleep_;
  }

  // All messages so far, oldest first; null if there are none. The owner counts as awake.
  Message* take() noexcept {
    if (head_.load(std::memory_order_relaxed) == nullptr) return nullptr;
    Message* newest = head_.exchange(nullptr, std::memory_order_acquire);
    if (newest == &asleep_) return nullptr;
    Message* oldest = nullptr;
    while (newest != nullptr) {
      Message* const next = newest->next;
      newest->next = oldest;
      oldest = newest;
      newest = next;
    }
    return oldest;
  }

  // The owner is about to sleep. False if there are messages: then it must not.
  [[nodiscard]] bool fall_asleep() noexcept {
    Message* expected = nullptr;
    // release is not needed: nothing that the owner wrote is read by whoever finds it asleep.
    return head_.compare_exchange_strong(expected, &asleep_, std::memory_order_relaxed) ||
           expected == &asleep_;
  }

 private:
  std::atomic<Message*> head_{nullptr};
  Message asleep_;
};

}  // namespace gyre
