// Several tasks at once, and their results one by one in the order in which the tasks end.
//
//   AsCompleted<Result<Page>> pages(std::move(fetches));
//   while (!pages.done()) {
//     Result<AsCompleted<Result<Page>>::Item> page = co_await pages.next();
//     if (!page) break;                                   // cancelled
//     use(page->index, page->result);
//   }
//   Result<void> ended = co_await pages.join();           // cancels what is left, and waits for it
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include <gyre/platform/result.h>
#include <gyre/task/signal.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>

namespace gyre {

template <typename T>
class AsCompleted {
 public:
  struct Item {
    std::size_t index;  // in the vector of tasks
    detail::as_result<T> result;
  };

  // Starts all tasks, in the current task's scope.
  explicit AsCompleted(std::vector<Task<T>> tasks) {
    handles_.reserve(tasks.size());
    finished_.reserve(tasks.size());
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      handles_.push_back(group_.spawn(run, *this, std::size_t{i}, std::move(tasks[i])));
    }
  }
  AsCompleted(const AsCompleted&) = delete;
  AsCompleted& operator=(const AsCompleted&) = delete;

  // Whether every result has been taken.
  bool done() const noexcept { return taken_ == handles_.size(); }

  // The next result; rethrows what that task threw. Precondition: !done(). Errors: cancelled, timed_out; the tasks go on.
  [[nodiscard]] Task<Result<Item>> next() {
    GYRE_CHECK_HINT(!done(), "next() after the last result");
    if (taken_ == finished_.size()) {
      signal_.reset();
      const bool finished = co_await signal_.wait();
      if (!finished) co_return current_task()->cancel_error(OperationKind::join);
    }
    const std::size_t index = finished_[taken_++];
    // The task's frame ends with the step that told of it.
    while (!handles_[index].is_finished()) static_cast<void>(co_await yield());
    co_return Item{index, handles_[index].take()};
  }

  // Cancels the tasks that are left and waits for their end. Must be awaited before the object goes.
  [[nodiscard]] Task<Result<void>> join() {
    group_.cancel();
    co_return co_await group_.join();
  }

 private:
  struct Finish {
    AsCompleted& owner;
    std::size_t index;
    ~Finish() {
      owner.finished_.push_back(index);
      owner.signal_.set();
    }
  };
  static Task<T> run(AsCompleted& owner, std::size_t index, Task<T> task) {
    const Finish finish{owner, index};
    co_return co_await std::move(task);
  }

  TaskGroup group_{OnFailure::keep_going};
  std::vector<JoinHandle<T>> handles_;
  std::vector<std::size_t> finished_;
  std::size_t taken_ = 0;
  detail::Signal signal_;
};

}  // namespace gyre
