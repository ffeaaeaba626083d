// Several tasks at once: the first that ends wins, the others are cancelled and awaited.
//
//   auto race = co_await when_any(primary(), backup());
//   if (race.index == 0) use(std::get<0>(race.results));
//
// Nothing that a loser has brought about is dropped: its result is there too (most often `cancelled`).
#pragma once

#include <cstddef>
#include <tuple>
#include <utility>
#include <vector>

#include <gyre/platform/result.h>
#include <gyre/task/task_group.h>

namespace gyre {

template <typename... T>
struct WhenAny {
  std::size_t index;  // of the first that ended
  std::tuple<detail::as_result<T>...> results;
};

template <typename T>
struct WhenAnyOf {
  std::size_t index;
  std::vector<detail::as_result<T>> results;
};

namespace detail {

inline constexpr std::size_t nobody = ~std::size_t{0};

struct Race {
  TaskGroup group{OnFailure::keep_going};
  std::size_t winner = nobody;
};

// Its destructor marks the end of one runner, however it ends.
class Finish {
 public:
  Finish(Race& race, std::size_t index) noexcept : race_(race), index_(index) {}
  Finish(const Finish&) = delete;
  Finish& operator=(const Finish&) = delete;
  ~Finish() {
    if (race_.winner != nobody) return;
    race_.winner = index_;
    race_.group.cancel();
  }

 private:
  Race& race_;
  std::size_t index_;
};

template <typename T>
Task<T> run_in_race(Race& race, std::size_t index, Task<T> task) {
  const Finish finish(race, index);
  co_return co_await std::move(task);
}

template <std::size_t... index, typename... T>
Task<WhenAny<T...>> race_all(std::index_sequence<index...>, Task<T>... tasks) {
  Race race;
  // In the order of the arguments: braces.
  std::tuple<JoinHandle<T>...> handles{
      race.group.spawn(run_in_race<T>, race, std::size_t{index}, std::move(tasks))...};
  static_cast<void>(co_await race.group.join());
  race.group.rethrow_exception();
  co_return WhenAny<T...>{race.winner, {std::get<index>(handles).take()...}};
}

}  // namespace detail

// Rethrows the first exception that a task threw, once all have ended.
template <typename... T>
  requires(sizeof...(T) > 0)
[[nodiscard]] Task<WhenAny<T...>> when_any(Task<T>... tasks) {
  return detail::race_all(std::index_sequence_for<T...>{}, std::move(tasks)...);
}

// Precondition: at least one task.
template <typename T>
[[nodiscard]] Task<WhenAnyOf<T>> when_any(std::vector<Task<T>> tasks) {
  GYRE_CHECK_HINT(!tasks.empty(), "when_any() of nothing would never end");
  detail::Race race;
  std::vector<JoinHandle<T>> handles;
  handles.reserve(tasks.size());
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    handles.push_back(race.group.spawn(detail::run_in_race<T>, race, std::size_t{i}, std::move(tasks[i])));
  }
  static_cast<void>(co_await race.group.join());
  race.group.rethrow_exception();
  WhenAnyOf<T> outcome{race.winner, {}};
  outcome.results.reserve(handles.size());
  for (JoinHandle<T>& handle : handles) outcome.results.push_back(handle.take());
  co_return outcome;
}

}  // namespace gyre
