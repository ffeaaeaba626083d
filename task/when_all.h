// Several tasks at once, and all their results.
//
//   Result<std::tuple<Page, Page>> both = co_await when_all(fetch(a), fetch(b));
//   Result<std::vector<Page>> pages = co_await gather(std::move(fetches));
//
// Results stand in the order of the arguments. The first failure cancels the other tasks; all are awaited; then it is
// the result (or is rethrown, if it was an exception). Cancelling the caller cancels them all.
#pragma once

#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <gyre/platform/result.h>
#include <gyre/task/task_group.h>

namespace gyre {

namespace detail {

// What a successful Task<T> brings: the value inside a Result; std::monostate for nothing.
template <typename T>
struct Brings {
  using type = T;
};
template <>
struct Brings<void> {
  using type = std::monostate;
};
template <typename T>
struct Brings<Result<T>> : Brings<T> {};
template <typename T>
using brings = typename Brings<T>::type;

// Precondition: the task has succeeded.
template <typename T>
brings<T> value_of(as_result<T>&& result) {
  if constexpr (std::is_same_v<brings<T>, std::monostate>) {
    return {};
  } else {
    return *std::move(result);
  }
}

}  // namespace detail

template <typename... T>
[[nodiscard]] Task<Result<std::tuple<detail::brings<T>...>>> when_all(Task<T>... tasks) {
  TaskGroup group;
  // Braces: spawned in the order of the arguments.
  std::tuple<JoinHandle<T>...> handles{group.spawn(std::move(tasks))...};
  const Result<void> joined = co_await group.join();
  group.rethrow_exception();
  if (!joined) co_return joined.error();
  auto take_all = [](JoinHandle<T>&... handle) -> Result<std::tuple<detail::brings<T>...>> {
    std::tuple<detail::as_result<T>...> results{handle.take()...};
    // A task that was cancelled by itself has not failed, but has no value either.
    Error missing;
    auto look_for_error = [&missing](const detail::as_result<T>&... result) {
      static_cast<void>(missing);  // unused where there are no tasks
      ((!missing && !result ? missing = result.error() : missing), ...);
    };
    std::apply(look_for_error, results);
    if (missing) return missing;
    auto values_of = [](detail::as_result<T>&... result) {
      return std::tuple<detail::brings<T>...>{detail::value_of<T>(std::move(result))...};
    };
    return std::apply(values_of, results);
  };
  co_return std::apply(take_all, handles);
}

template <typename T>
[[nodiscard]] Task<Result<std::vector<detail::brings<T>>>> gather(std::vector<Task<T>> tasks) {
  TaskGroup group;
  std::vector<JoinHandle<T>> handles;
  handles.reserve(tasks.size());
  for (Task<T>& task : tasks) handles.push_back(group.spawn(std::move(task)));
  const Result<void> joined = co_await group.join();
  group.rethrow_exception();
  if (!joined) co_return joined.error();
  std::vector<detail::brings<T>> values;
  values.reserve(handles.size());
  for (JoinHandle<T>& handle : handles) {
    detail::as_result<T> result = handle.take();
    // A task that was cancelled by itself has not failed, but has no value either.
    if (!result) co_return result.error();
    values.push_back(detail::value_of<T>(std::move(result)));
  }
  co_return values;
}

// As gather(), but a failure cancels nobody, and every task's own result is returned. Exceptions are still rethrown, the
// first of them, once all tasks have ended.
template <typename T>
[[nodiscard]] Task<std::vector<detail::as_result<T>>> gather_results(std::vector<Task<T>> tasks) {
  TaskGroup group(OnFailure::keep_going);
  std::vector<JoinHandle<T>> handles;
  handles.reserve(tasks.size());
  for (Task<T>& task : tasks) handles.push_back(group.spawn(std::move(task)));
  static_cast<void>(co_await group.join());
  group.rethrow_exception();
  std::vector<detail::as_result<T>> results;
  results.reserve(handles.size());
  for (JoinHandle<T>& handle : handles) results.push_back(handle.take());
  co_return results;
}

}  // namespace gyre
