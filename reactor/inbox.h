// Inbox: what other threads want a reactor to do, a lock-free list that its thread takes as a whole.
//
// Threads: push() any thread; the rest the owner's.
// States of head_: null (the owner is awake and the list is empty); &asleep_ (the owner sleeps, or is about to);
// &closed_ (for ever); else the newest message. push() goes from any but closed to "newest message"; the owner goes
// from any to null or closed, and from null to asleep.
//
// A pusher that has been told to wake the owner touches what the owner owns after the message is there. So it says when
// it has done so, and the owner, which can tell how many have been told, waits for the last of them before it goes.
#pragma once

#include <atomic>
#include <cstdint>

#include <gyre/platform/atomics.h>

namespace gyre {

template <typename Atomics>
class BasicInbox {
 public:
  // One message; it is the inbox's from push() until it is delivered.
  struct Message {
    Message* next = nullptr;
    // Called on the owner's thread. `wanted` is false if the inbox closed first: then only to give the message back.
    void (*deliver)(Message& message, bool wanted) noexcept = nullptr;
  };

  enum class Pushed : std::uint8_t {
    quietly,   // the owner is awake and will see it
    must_wake, // the owner sleeps; only one of all pushers is told, and calls woken() when it has woken the owner
    refused,   // the inbox is closed; the message stays the pusher's
  };

  BasicInbox() noexcept = default;
  BasicInbox(const BasicInbox&) = delete;
  BasicInbox& operator=(const BasicInbox&) = delete;

  // Any thread.
  [[nodiscard]] Pushed push(Message& message) noexcept {
    // acquire, here and below: who is refused may destroy what the owner has used until close().
    Message* head = head_.load(std::memory_order_acquire);
    do {
      if (head == &closed_) return Pushed::refused;
      message.next = head == &asleep_ ? nullptr : head;
      // release: pairs with the acquire in take(), which then sees what is in the message.
    } while (!head_.compare_exchange_weak(head, &message, std::memory_order_release,
                                          std::memory_order_acquire));
    return head == &asleep_ ? Pushed::must_wake : Pushed::quietly;
  }

  // Any thread that was told `must_wake`, once, as its last access to the owner.
  void woken() noexcept {
    // release: pairs with the acquire in is_left_alone(), after which the owner destroys what the wake has used.
    wakes_done_.fetch_add(1, std::memory_order_release);
  }

  // Whether take() has anything to do: there are messages, or the owner counts as asleep.
  bool has_changed() const noexcept { return head_.load(std::memory_order_relaxed) != nullptr; }
  // All messages so far, oldest first; null if there are none. The owner counts as awake from here on.
  Message* take() noexcept {
    if (!has_changed()) return nullptr;
    return in_order(note(head_.exchange(nullptr, std::memory_order_acquire)));
  }

  // The owner is about to sleep. False if there are messages: then it must not.
  [[nodiscard]] bool fall_asleep() noexcept {
    Message* expected = nullptr;
    // Relaxed: a pusher who finds the owner asleep reads nothing that the owner wrote.
    if (head_.compare_exchange_strong(expected, &asleep_, std::memory_order_relaxed,
                                      std::memory_order_relaxed)) {
      is_asleep_ = true;
      return true;
    }
    return expected == &asleep_;
  }

  // Refuses all further messages and returns those that are left, oldest first.
  Message* close() noexcept {
    return in_order(note(head_.exchange(&closed_, std::memory_order_acq_rel)));
  }
  // After close(): whether everybody who was told to wake the owner has done so. If not, it is about to: ask again.
  bool is_left_alone() const noexcept {
    return wakes_done_.load(std::memory_order_acquire) == wakes_due_;
  }

 private:
  // Whoever replaced `asleep` was told to wake.
  Message* note(Message* head) noexcept {
    if (is_asleep_ && head != &asleep_) ++wakes_due_;
    is_asleep_ = false;
    return head;
  }
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

  // Owner only.
  bool is_asleep_ = false;
  std::uint32_t wakes_due_ = 0;

  // Any thread.
  typename Atomics::template Atomic<Message*> head_{nullptr};
  typename Atomics::template Atomic<std::uint32_t> wakes_done_{0};

  // Only their addresses matter.
  Message asleep_;
  Message closed_;
};

using Inbox = BasicInbox<StdAtomics>;

}  // namespace gyre
