// CpuPool: threads that compute. Work<T> splits itself among them by work stealing; plain jobs wait in one FIFO queue.
//
// A thread takes first what its own work has left, then the oldest job, then the oldest of what others offer. What has
// begun keeps its thread until it waits or ends: there is no time slicing.
//
// Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include <gyre/platform/answer_word.h>
#include <gyre/platform/clock.h>
#include <gyre/platform/result.h>
#include <gyre/task/job.h>
#include <gyre/task/work.h>

namespace gyre {

struct CpuPoolOptions {
  const char* name = "cpu";  // a literal; its threads are called so
  unsigned threads = 0;      // 0: one for each processor
  bool pin_threads = false;  // each to its own processor
  // Jobs that wait at most; more are refused.
  std::size_t waiting_max = 100'000;
};

struct CpuPoolStats {
  JobStats jobs;
  std::uint64_t steals = 0;    // pieces of Work that went to another thread
  std::uint64_t sleeps = 0;
  unsigned sleeping = 0;       // threads, now
};

class CpuPool final : public JobRunner {
 public:
  // Starts no thread before the first job. Throws bad_alloc.
  explicit CpuPool(const CpuPoolOptions& options = {});
  // stop(), unless the last stop_until() has given up: then the threads that still work are left to themselves.
  ~CpuPool() override;

  // A job of this pool may have `ends_later`.
  [[nodiscard]] Submitted submit(Job& job) noexcept override;
  [[nodiscard]] bool withdraw(Job& job) noexcept override;
  CpuPool* as_cpu_pool() noexcept override { return this; }
  // A job that ends later has ended. On one of its pool's threads.
  static void finish(Job& job) noexcept;

  // Takes no more jobs, gives back those that wait, asks those that run to stop, waits for them and for the threads. Not on
  // one of the pool's threads. Idempotent.
  void stop() noexcept { static_cast<void>(stop_until(never)); }
  // The same, but waits for jobs only until `deadline`. What it reports as unfinished works on (its end() will be called as
  // ever), and may be waited for by another call.
  StopReport stop_until(Instant deadline) noexcept;

  // Runs `work` and blocks the calling thread until it has ended: for programs without a reactor. Not on one of the pool's
  // threads. Rethrows what it threw. Errors: limit_exceeded, stopped, resource_unavailable_try_again.
  template <typename T>
  Result<T> run(Work<T> work);

  unsigned threads() const noexcept { return threads_; }
  const char* name() const noexcept { return options_.name; }
  CpuPoolStats stats() const noexcept;
  // Work that any thread might take while all sleep: must not last. For tests and watchdogs.
  bool is_stalled() const noexcept;

 private:
  struct State;
  class Worker;

  const CpuPoolOptions options_;
  const unsigned threads_;
  const std::shared_ptr<State> state_;  // also of each thread
  bool has_given_up_ = false;
};

namespace detail {

// Begins a Work as (part of) a job, and ends the job when the Work has ended.
class WorkStart : private WorkRoot {
 public:
  // `job` gets `ends_later`. `result`: room for a T, or for nothing.
  WorkStart(Job& job, WorkPromiseBase& work, void* frame, void* result) noexcept;
  // On a thread of the pool.
  void begin() noexcept;

 private:
  Job& job_;
  void* frame_;
};

Error error_of(Submitted refusal) noexcept;

}  // namespace detail

template <typename T>
Result<T> CpuPool::run(Work<T> work) {
  struct BlockingJob : Job {
    BlockingJob(Work<T>& what, void* result)
        : start(*this, what.promise(), what.address(), result) {
      work = [](Job& job) noexcept { static_cast<BlockingJob&>(job).start.begin(); };
      end = [](Job& job, bool worked) noexcept { static_cast<BlockingJob&>(job).has_worked.answer(worked); };
    }
    detail::WorkStart start;
    AnswerWord has_worked;
  };
  detail::WorkSlot<T> slot;
  BlockingJob job(work, &slot.value);
  const Submitted submitted = submit(job);
  if (submitted != Submitted::queued) return detail::error_of(submitted);
  if (!job.has_worked.wait()) return detail::error_of(Submitted::stopped);
  if (work.promise().failure != nullptr) std::rethrow_exception(*work.promise().failure);
  if constexpr (std::is_void_v<T>) {
    return {};
  } else {
    Result<T> result = std::move(slot.value);
    slot.value.~T();
    return result;
  }
}

}  // namespace gyre
