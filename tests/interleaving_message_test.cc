// What other threads and signal handlers tell a reactor, under every interleaving: the inbox, the word that ends a sleep in a
// poller, the word by which a posted call is cancelled, and the list that signal handlers walk.
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <gtest/gtest.h>

#include <gyre/platform/handler_watch.h>
#include <gyre/platform/wake_word.h>
#include <gyre/reactor/inbox.h>
#include <gyre/reactor/post_handle.h>

#include "support/interleaving.h"

namespace gyre::test {
namespace {

#if GYRE_HAS_RELACY

// --- Wake word ------------------------------------------------------------------------------------------------------

// One thread wakes, another nudges, and the owner sleeps until it has seen both: a lost one is a deadlock. With `minds` off,
// it sleeps whatever prepare_to_sleep() says; with `signals` off, nobody rings for a nudge.
template <Weaken weaken, bool minds, bool signals>
struct WakeWordSuite : rl::test_suite<WakeWordSuite<weaken, minds, signals>, 3> {
  BasicWakeWord<Checked<weaken>> word;
  // What is published before the wake, and before the nudge: the word orders them.
  typename Checked<weaken>::template Atomic<int> for_caller{0};
  typename Checked<weaken>::template Atomic<int> for_poller{0};
  rl::mutex mutex;
  rl::condition_variable_any rung;
  bool is_rung = false;   // it stays so until the owner has slept
  bool has_timer = true;  // one sleep may end by itself

  void ring() {
    mutex.lock(RL_INFO);
    is_rung = true;
    rung.notify_all(RL_INFO);
    mutex.unlock(RL_INFO);
  }
  void sleep() {
    if (has_timer && rl::rand(2) == 0) {
      has_timer = false;
      return;
    }
    mutex.lock(RL_INFO);
    while (!is_rung) rung.wait(mutex, RL_INFO);
    is_rung = false;
    mutex.unlock(RL_INFO);
  }
  void thread(unsigned number) {
    if (number == 1) {
      for_caller.store(1, std::memory_order_relaxed);
      if (word.wake()) ring();
      return;
    }
    if (number == 2) {
      for_poller.store(1, std::memory_order_relaxed);
      if (word.nudge() && signals) ring();
      return;
    }
    bool is_woken = false;
    for (;;) {
      if (word.take()) {
        is_woken = true;
        RL_ASSERT(for_caller.load(std::memory_order_relaxed) == 1);
      }
      if (is_woken && for_poller.load(std::memory_order_relaxed) == 1) return;
      if (word.prepare_to_sleep() || !minds) sleep();
    }
  }
};

// --- Inbox ----------------------------------------------------------------------------------------------------------

// Two threads post to one that sleeps when there is nothing, and that ends as soon as it has both messages: then nobody may
// touch it any more. With `minds` off, it sleeps whatever fall_asleep() says; with `waits` off, it does not wait for those
// who wake it.
template <Weaken weaken, bool minds, bool waits>
struct InboxSuite : rl::test_suite<InboxSuite<weaken, minds, waits>, 3> {
  using Box = BasicInbox<Checked<weaken>>;
  struct Letter : Box::Message {
    rl::var<int> text;
  };
  Box inbox;
  Letter letters[2];
  // The poller: a sticky bell, and whether it still exists.
  rl::mutex mutex;
  rl::condition_variable_any rung;
  bool is_rung = false;
  rl::var<int> poller;

  void before() { poller(RL_INFO) = 1; }
  void wake() {
    RL_ASSERT(static_cast<int>(poller(RL_INFO)) == 1);
    mutex.lock(RL_INFO);
    is_rung = true;
    rung.notify_all(RL_INFO);
    mutex.unlock(RL_INFO);
  }
  // One sleep may end by itself: a timer.
  bool has_timer = true;
  void sleep() {
    if (has_timer && rl::rand(2) == 0) {
      has_timer = false;
      return;
    }
    mutex.lock(RL_INFO);
    while (!is_rung) rung.wait(mutex, RL_INFO);
    is_rung = false;
    mutex.unlock(RL_INFO);
  }
  void thread(unsigned number) {
    if (number != 0) {
      Letter& letter = letters[number - 1];
      letter.text(RL_INFO) = static_cast<int>(number);
      if (inbox.push(letter) == Box::Pushed::must_wake) {
        wake();
        inbox.woken();
      }
      return;
    }
    int got = 0;
    while (got != 3) {
      for (auto* message = inbox.take(); message != nullptr; message = message->next) {
        got += static_cast<int>(static_cast<Letter*>(message)->text(RL_INFO));
      }
      if (got != 3 && (inbox.fall_asleep() || !minds)) sleep();
    }
    RL_ASSERT(inbox.close() == nullptr);
    while (waits && !inbox.is_left_alone()) rl::yield(1, RL_INFO);
    poller(RL_INFO) = 0;  // gone
  }
};

// --- Cancel ---------------------------------------------------------------------------------------------------------

// One thread runs a call, which also tries to cancel itself; two others cancel it. Either both take it back and it never
// runs, or both return after its end and see what it has done.
template <typename Policy>
struct PostPhaseSuite : rl::test_suite<PostPhaseSuite<Policy>, 3> {
  Futex futex;
  detail::BasicPostPhase<Policy> phase;
  rl::var<int> effect;
  bool has_run = false;
  int taken_back = 0;
  char selves[3] = {};

  void before() { Policy::futex = &futex; }
  void thread(unsigned number) {
    void* const self = &selves[number];
    if (number != 0) {
      if (phase.cancel(self)) {
        ++taken_back;
      } else {
        RL_ASSERT(static_cast<int>(effect(RL_INFO)) == 1);
      }
      return;
    }
    if (!phase.begin(self)) return;
    effect(RL_INFO) = 1;
    has_run = true;
    RL_ASSERT(!phase.cancel(self));
    phase.end();
  }
  void after() { RL_ASSERT(taken_back == (has_run ? 0 : 2)); }
};

// --- Signal handlers ------------------------------------------------------------------------------------------------

// Two handlers look for a listener that a third thread takes away and destroys. With `waits` off, it does not wait for them.
template <Weaken weaken, bool waits>
struct HandlerWatchSuite : rl::test_suite<HandlerWatchSuite<weaken, waits>, 3> {
  struct Listener {
    rl::var<int> alive;
  };
  Listener listener;
  BasicHandlerWatch<Checked<weaken>, Listener> watch;

  void before() {
    listener.alive(RL_INFO) = 1;
    watch.first().store(&listener, std::memory_order_seq_cst);
  }
  void thread(unsigned number) {
    if (number != 0) {
      Listener* const found = watch.enter();
      if (found != nullptr) RL_ASSERT(static_cast<int>(found->alive(RL_INFO)) == 1);
      watch.leave();
      return;
    }
    watch.first().store(nullptr, std::memory_order_seq_cst);
    while (waits && !watch.is_left_alone()) rl::yield(1, RL_INFO);
    listener.alive(RL_INFO) = 0;  // gone
  }
};

// --- Running them ---------------------------------------------------------------------------------------------------

TEST_F(InterleavingTest, AWakeWordLosesNoWakeAndNoNudge) {
  expect_holds<WakeWordSuite<Weaken::nothing, true, true>>(3);
}
TEST_F(InterleavingTest, AWakeWordWithoutReleaseIsFound) {
  expect_found<WakeWordSuite<Weaken::release, true, true>>(3);
}
TEST_F(InterleavingTest, AnOwnerThatSleepsOnAWakeIsFound) {
  expect_found<WakeWordSuite<Weaken::nothing, false, true>>(3);
}
TEST_F(InterleavingTest, ANudgeWithoutASignalIsFound) {
  expect_found<WakeWordSuite<Weaken::nothing, true, false>>(3);
}

TEST_F(InterleavingTest, AnInboxLosesNoMessageAndNoWakeAndItsOwnerMayGo) {
  expect_holds<InboxSuite<Weaken::nothing, true, true>>(2);
}
TEST_F(InterleavingTest, AnInboxWithoutReleaseIsFound) {
  expect_found<InboxSuite<Weaken::release, true, true>>(2);
}
TEST_F(InterleavingTest, AnOwnerThatSleepsOnMessagesIsFound) {
  expect_found<InboxSuite<Weaken::nothing, false, true>>(2);
}
TEST_F(InterleavingTest, AnOwnerThatGoesBeforeItsWakersIsFound) {
  expect_found<InboxSuite<Weaken::nothing, true, false>>(2);
}

TEST_F(InterleavingTest, ACallRunsOrIsTakenBackAndWhoCancelsKnowsWhich) {
  expect_holds<PostPhaseSuite<Checked<Weaken::nothing>>>(3);
}
TEST_F(InterleavingTest, ACallWithoutReleaseIsFound) { expect_found<PostPhaseSuite<Checked<Weaken::release>>>(3); }
TEST_F(InterleavingTest, ACallWhoseEndWakesNobodyIsFound) { expect_found<PostPhaseSuite<Deaf>>(3); }

TEST_F(InterleavingTest, AListenerGoesOnlyWhenNoHandlerIsLeft) { expect_holds<HandlerWatchSuite<Weaken::nothing, true>>(3); }
TEST_F(InterleavingTest, AListenerThatDoesNotWaitIsFound) { expect_found<HandlerWatchSuite<Weaken::nothing, false>>(3); }
TEST_F(InterleavingTest, HandlersWithoutSequentialConsistencyAreFound) {
  expect_found<HandlerWatchSuite<Weaken::seq_cst, true>>(3);
}

#else

TEST_F(InterleavingTest, NeedsRelacy) {}

#endif

}  // namespace
}  // namespace gyre::test
