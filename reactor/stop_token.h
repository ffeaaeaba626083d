// Between std::stop_token, which any thread may use, and the cancellation of tasks, which belongs to their reactor.
//
//   CancelScope scope;
//   const CancelOnStop on_stop(token, scope);         // request_stop(), on whatever thread, cancels the scope
//
//   const ScopedStopSource stop;                      // asked to stop when the task that made it is cancelled
//   co_await offload(search, stop.token());           // for code that knows std::stop_token only
#pragma once

#include <memory>
#include <stop_token>
#include <utility>

#include <gyre/reactor/reactor.h>
#include <gyre/task/cancel_scope.h>
#include <gyre/task/timeout.h>

namespace gyre {

namespace detail {

// Shared by the object and by the message that is on its way.
struct StopMessage : Inbox::Message {
  StopMessage(RemoteReactor home, CancelScope& target) noexcept;

  // Owner thread only: null once nobody wants to know.
  CancelScope* scope;
  RemoteReactor reactor;
  // Keeps the message while it is in the inbox.
  std::shared_ptr<StopMessage> self;
};

}  // namespace detail

// Cancels a scope of this reactor's once a stop is requested: at once if that has been done before, else in a later turn.
// Must be made inside a task, and end before the scope. (A stop after that has no effect.)
class [[nodiscard]] CancelOnStop {
 public:
  CancelOnStop(std::stop_token token, CancelScope& scope);
  CancelOnStop(const CancelOnStop&) = delete;
  CancelOnStop& operator=(const CancelOnStop&) = delete;
  ~CancelOnStop();

 private:
  // Any thread.
  struct Post {
    std::shared_ptr<detail::StopMessage> message;
    void operator()() noexcept;
  };

  std::shared_ptr<detail::StopMessage> message_;
  std::stop_callback<Post> callback_;
};

// A std::stop_source that is asked to stop when the task that made it is cancelled, by whatever scope around it. Its
// callbacks run in the midst of the cancellation: they must not touch tasks, scopes or groups of this reactor, but may
// post to it.
class [[nodiscard]] ScopedStopSource : private CancelHook {
 public:
  // Must be called inside a task.
  ScopedStopSource();
  ScopedStopSource(const ScopedStopSource&) = delete;
  ScopedStopSource& operator=(const ScopedStopSource&) = delete;
  // A stop that was not requested never will be.
  ~ScopedStopSource();

  std::stop_token token() const noexcept { return source_.get_token(); }

 private:
  std::stop_source source_;
  CancelScope scope_;
};

namespace detail {

template <typename T>
Task<as_result<T>> run_until_stop(std::stop_token token, Task<T> task) {
  CancelScope scope;
  const CancelOnStop on_stop(std::move(token), scope);
  if constexpr (std::is_void_v<T>) {
    co_await std::move(task);
    if (scope.was_reported()) co_return Error::cancelled();
    co_return Result<void>{};
  } else {
    co_return co_await std::move(task);
  }
}

}  // namespace detail

// Runs `task` in a scope that `token` cancels. Returns Result<T>; a task that returns a Result keeps its type.
template <typename T>
[[nodiscard]] Task<detail::as_result<T>> with_stop_token(std::stop_token token, Task<T> task) {
  return detail::run_until_stop(std::move(token), std::move(task));
}

}  // namespace gyre
