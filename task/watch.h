// Watch<T>: a value that changes, and tasks that want to know the latest.
//
//   Watch<Config>::Receiver config = watch.subscribe();
//   while (co_await config.changed()) use(config.get());
//
// Only the last value is kept: a receiver that is slow skips what came between, and never holds up the sender.
//
// Errors of changed(): closed, once the Watch is closed and the last change was seen; cancelled, timed_out; atomic: the
// change can still be seen.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/result.h>
#include <gyre/task/context.h>
#include <gyre/task/wait_list.h>

namespace gyre {

namespace detail {

// Versions and who waits for the next one. Untyped.
class WatchCore {
 public:
  WatchCore(const WatchCore&) = delete;
  WatchCore& operator=(const WatchCore&) = delete;

  // No more changes. Receivers see the last one, and then Errc::closed. Idempotent.
  void close() noexcept;
  bool is_closed() const noexcept { return is_closed_; }
  std::size_t count_waiters() const noexcept { return waiters_.count_waiters(); }

 protected:
  WatchCore() noexcept = default;
  ~WatchCore() = default;

  // What a receiver has seen.
  struct View {
    WatchCore* watch;
    std::uint64_t seen;
  };

  class [[nodiscard]] Awaiter : public Waiter {
   public:
    explicit Awaiter(View& view) noexcept : view_(view) {}

    bool await_ready() noexcept {
      WatchCore& watch = *view_.watch;
      if (is_refused(watch.waiters_)) [[unlikely]] return true;
      if (watch.version_ != view_.seen) return settle(WaitOutcome::granted);
      return settle(watch.is_closed_ ? WaitOutcome::closed : WaitOutcome::none);
    }
    void await_suspend(std::coroutine_handle<> frame) noexcept {
      suspend(view_.watch->waiters_, frame, wait_kind);
    }
    Result<void> await_resume() noexcept {
      if (!is_granted()) return error(OperationKind::wait);
      view_.seen = view_.watch->version_;
      return {};
    }

   private:
    View& view_;
  };

  void publish() noexcept {
    ++version_;
    waiters_.wake_all();
  }

  std::uint64_t version_ = 0;

 private:
  static const WaitKind wait_kind;

  WaitList waiters_;
  bool is_closed_ = false;
};

}  // namespace detail

template <typename T>
class Watch : public detail::WatchCore {
 public:
  using value_type = T;

  // One reader's view. Copyable; the Watch must outlive it, and it must stay where it is while a task waits.
  class Receiver {
   public:
    // Until there is a value that this receiver has not seen, which it has then.
    [[nodiscard]] auto changed() noexcept {
      return detail::WaitOperation<Awaiter, View>(view_);
    }
    bool has_changed() const noexcept { return watch().version_ != view_.seen; }
    // The latest value, which counts as seen.
    const T& get() noexcept {
      view_.seen = watch().version_;
      return watch().value_;
    }

   private:
    friend class Watch;

    explicit Receiver(Watch& watch) noexcept : view_{&watch, watch.version_} {}
    const Watch& watch() const noexcept { return static_cast<const Watch&>(*view_.watch); }

    View view_;
  };

  explicit Watch(T initial) : value_(std::move(initial)) {}

  // A receiver to which the present value is nothing new.
  Receiver subscribe() noexcept { return Receiver(*this); }

  const T& get() const noexcept { return value_; }
  // Precondition of set() and update(): not closed.
  void set(T value) {
    GYRE_CHECK_HINT(!is_closed(), "set() of a closed Watch");
    value_ = std::move(value);
    publish();
  }
  // Changes the value in place: `change(value)`.
  template <typename Change>
  void update(Change&& change) {
    GYRE_CHECK_HINT(!is_closed(), "update() of a closed Watch");
    std::forward<Change>(change)(value_);
    publish();
  }

 private:
  T value_;
};

}  // namespace gyre
