// JobPool: threads for calls that block. One for each kind of work: files and foreign libraries, name resolution, ... ,
// so that a slow one of one kind does not keep the others waiting. For computing see CpuPool.
//
// Threads are started when a job finds none idle, up to a bound, and stay until stop(). Jobs wait in one bounded queue.
#pragma once

#include <cstddef>
#include <memory>

#include <gyre/platform/clock.h>
#include <gyre/task/job.h>

namespace gyre {

struct JobPoolOptions {
  const char* name = "blocking";  // a literal; its threads are called so
  unsigned threads_max = 16;
  // Jobs that wait at most; more are refused.
  std::size_t waiting_max = 10'000;
};

// Any thread.
class JobPool final : public JobRunner {
 public:
  // Starts no thread. Throws bad_alloc.
  explicit JobPool(const JobPoolOptions& options = {});
  // stop(), unless the last stop_until() has given up: then the threads that still work are left to themselves.
  ~JobPool() override;

  [[nodiscard]] Submitted submit(Job& job) noexcept override;
  [[nodiscard]] bool withdraw(Job& job) noexcept override;

  // Takes no more jobs, gives back those that wait, asks those that run to stop, and waits for them and for the threads.
  // Not on one of the pool's threads. Idempotent.
  void stop() noexcept { static_cast<void>(stop_until(never)); }
  // The same, but waits for jobs only until `deadline`. What it reports as unfinished works on (its end() will be called as
  // ever), and may be waited for by another call.
  StopReport stop_until(Instant deadline) noexcept;

  const char* name() const noexcept { return options_.name; }
  JobStats stats() const noexcept;

 private:
  struct State;

  const JobPoolOptions options_;
  const std::shared_ptr<State> state_;  // also of each thread
  bool has_given_up_ = false;
};

}  // namespace gyre
