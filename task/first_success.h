// Several tries at one thing, each begun a while after the one before it: the first success wins.
//
//   FirstSuccess<TcpStream> connected = co_await first_success(250ms, std::move(attempts));
//   if (connected.result) use(connected.index, *connected.result);
//
// The next try begins when the one before it has failed, or has taken `delay` (Duration::max(): when it has failed).
// The winner cancels the others, and all are awaited. A second success is dropped.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include <gyre/platform/result.h>
#include <gyre/task/cancel_scope.h>
#include <gyre/task/signal.h>
#include <gyre/task/task_group.h>
#include <gyre/task/when_any.h>

namespace gyre {

template <typename T>
struct FirstSuccess {
  // The winner's place in the vector; of no meaning if there is none.
  std::size_t index = detail::nobody;
  // The winner's value. Errors: the first failure; cancelled, timed_out; invalid_argument if there was nothing to try.
  Result<T> result;
  // Of the tries that failed, in the order of their failing.
  std::vector<Error> errors;
};

namespace detail {

struct Tries {
  TaskGroup group{OnFailure::keep_going};
  std::size_t begun = 0;
  std::size_t winner = nobody;
  Signal last_failed;  // the try that was begun last
};

// Its destructor marks the end of one try, however it ends.
class TryEnd {
 public:
  TryEnd(Tries& tries, std::size_t index) noexcept : tries_(tries), index_(index) {}
  TryEnd(const TryEnd&) = delete;
  TryEnd& operator=(const TryEnd&) = delete;
  ~TryEnd() {
    if (!has_succeeded && index_ + 1 == tries_.begun) tries_.last_failed.set();
    if (!has_succeeded || tries_.winner != nobody) return;
    tries_.winner = index_;
    tries_.group.cancel();
  }

  bool has_succeeded = false;

 private:
  Tries& tries_;
  std::size_t index_;
};

template <typename T>
Task<Result<T>> run_try(Tries& tries, std::size_t index, Task<Result<T>> task) {
  TryEnd end(tries, index);
  Result<T> result = co_await std::move(task);
  end.has_succeeded = result.has_value();
  co_return result;
}

}  // namespace detail

// Rethrows the first exception that a try threw, once all have ended; until then it is one more failure.
template <typename T>
[[nodiscard]] Task<FirstSuccess<T>> first_success(Duration delay, std::vector<Task<Result<T>>> attempts) {
  detail::Tries tries;
  std::vector<JoinHandle<Result<T>>> handles;
  handles.reserve(attempts.size());
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    tries.last_failed.reset();
    tries.begun = i + 1;
    handles.push_back(tries.group.spawn(detail::run_try<T>, tries, std::size_t{i}, std::move(attempts[i])));
    if (tries.begun == attempts.size()) break;
    {
      const CancelScope patience(CancelScope::within(delay));
      static_cast<void>(co_await tries.last_failed.wait());
    }
    // By the winner, or from outside.
    if (current_task()->cancel_requested()) break;
  }
  // Those that need not be begun.
  for (Task<Result<T>>& attempt : attempts) attempt.forget();
  static_cast<void>(co_await tries.group.join());
  tries.group.rethrow_exception();

  FirstSuccess<T> outcome{.index = tries.winner,
                          .result = Error::system(static_cast<int>(std::errc::invalid_argument)),
                          .errors = {}};
  for (const TaskFailure& failure : tries.group.failures()) outcome.errors.push_back(failure.error);
  if (tries.winner != detail::nobody) {
    outcome.result = handles[tries.winner].take();
  } else if (current_task()->cancel_requested()) {
    outcome.result = current_task()->cancel_error(OperationKind::join);
  } else if (!outcome.errors.empty()) {
    outcome.result = outcome.errors.front();
  }
  co_return outcome;
}

}  // namespace gyre
