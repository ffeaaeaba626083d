// Deadlines and shields around a task.
//
//   Result<Page> page = co_await with_timeout(2s, fetch(host));   // one budget for all that happens inside
//
// The task runs as part of the caller, and always to its end: when time is up its pending operation, and every later
// one, reports an error, and the task gives up by itself. So nothing is lost, and the call may take longer than the
// deadline if the task cleans up. What the task returns all the same is returned: a value that made it wins.
#pragma once

#include <type_traits>
#include <utility>

#include <gyre/platform/clock.h>
#include <gyre/platform/result.h>
#include <gyre/task/cancel_scope.h>
#include <gyre/task/join_handle.h>
#include <gyre/task/task.h>

namespace gyre {

namespace detail {

// `scope` is still open. Result<T>: the error becomes timed_out if it came of the scope's deadline. void: timed_out if
// the task was told so. Other types: what the task returned.
template <typename T>
Task<as_result<T>> run_in_scope(CancelScopeOptions options, Task<T> task) {
  CancelScope scope(options);
  if constexpr (std::is_void_v<T>) {
    co_await std::move(task);
    if (scope.timed_out() && scope.was_reported()) co_return Error::timed_out();
    co_return Result<void>{};
  } else if constexpr (is_result<T>) {
    T result = co_await std::move(task);
    if (!result && scope.timed_out() && result.error().is_cancelled()) {
      co_return Error::timed_out(result.error().operation()).at(result.error().place());
    }
    co_return result;
  } else {
    co_return co_await std::move(task);
  }
}

template <typename T>
Task<as_result<T>> run_for(Duration timeout, Task<T> task) {
  co_return co_await run_in_scope(CancelScope::within(timeout), std::move(task));
}

template <typename T>
Task<T> run_shielded(Task<T> task) {
  CancelScope scope(CancelScopeOptions{.shielded = true});
  co_return co_await std::move(task);
}

}  // namespace detail

// Runs `task` with a deadline. Returns Result<T>; a task that returns a Result keeps its type. Errors: timed_out once
// `deadline` has passed; cancelled if a scope around the call was cancelled; else the task's own.
template <typename T>
[[nodiscard]] Task<detail::as_result<T>> with_deadline(Instant deadline, Task<T> task) {
  return detail::run_in_scope(CancelScopeOptions{.deadline = deadline}, std::move(task));
}

// As with_deadline, `timeout` after the call is awaited.
template <typename T>
[[nodiscard]] Task<detail::as_result<T>> with_timeout(Duration timeout, Task<T> task) {
  return detail::run_for(timeout, std::move(task));
}

// Runs `task` out of reach of the cancellation of the scopes around the call; the caller sees it afterwards, at its next
// checkpoint. For cleaning up; combine with with_timeout to bound it.
template <typename T>
[[nodiscard]] Task<T> shield(Task<T> task) {
  return detail::run_shielded(std::move(task));
}

}  // namespace gyre
