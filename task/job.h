// Job: one piece of work for another thread; JobRunner: whoever runs jobs. A job carries no result: see offload().
#pragma once

#include <cstddef>
#include <cstdint>

#include <gyre/platform/clock.h>
#include <gyre/platform/intrusive_list.h>

namespace gyre {

// The runner's from submit() to end(). Must stay alive and in place for as long.
struct Job : ListLink {
  // The work itself, on one of the runner's threads. Once, or never.
  void (*work)(Job& job) noexcept = nullptr;
  // The last call, once, unless the job was withdrawn: the job is its owner's again, and may be gone when this returns. On
  // the thread that did the work; or, if the runner was stopped before the job began (`worked` is false), on that which
  // calls stop().
  void (*end)(Job& job, bool worked) noexcept = nullptr;
  // The runner is being stopped while the job works: asks it to end early. May be null. Any thread, at most once, only
  // before end(), and under the runner's lock: it must not call the runner.
  void (*request_stop)(Job& job) noexcept = nullptr;
  // work() only begins: whoever does the last of it tells the runner. See CpuPool.
  bool ends_later = false;
  // The runner's.
  bool is_waiting = false;
  Instant queued_at;
};

enum class Submitted : std::uint8_t {
  queued,
  full,       // as many wait as may; the job stays the caller's
  stopped,    // the runner takes no more
  no_thread,  // there is no thread yet, and the system gives none
};

struct JobStats {
  std::uint64_t submitted = 0;  // taken on
  std::uint64_t finished = 0;
  std::uint64_t withdrawn = 0;  // taken back before they began
  std::uint64_t refused = 0;    // full, stopped, or no thread
  std::size_t waiting = 0;      // now
  std::size_t running = 0;      // now
  unsigned threads = 0;         // now
  // Between submit() and the job's beginning.
  Duration queue_time_total{};
  Duration queue_time_max{};
};

// What has become of a pool's jobs when it was stopped with a time limit.
struct StopReport {
  std::size_t cancelled = 0;   // had not begun, and never will: end() has told each
  std::size_t unfinished = 0;  // had begun, and have not ended by the deadline. 0: all threads have ended, too
};

class CpuPool;

class JobRunner {
 public:
  virtual ~JobRunner() = default;
  JobRunner(const JobRunner&) = delete;
  JobRunner& operator=(const JobRunner&) = delete;

  // Any thread. Jobs begin in the order of their submission.
  [[nodiscard]] virtual Submitted submit(Job& job) noexcept = 0;
  // Any thread. True: the job had not begun, never will, and is the caller's again.
  [[nodiscard]] virtual bool withdraw(Job& job) noexcept = 0;
  // Only a CpuPool runs what splits itself; aborts if this is none.
  virtual CpuPool* as_cpu_pool() noexcept;

 protected:
  JobRunner() = default;
};

}  // namespace gyre
