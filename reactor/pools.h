// Pools: the threads that reactors leave the loop for. One object for all reactors of a Runtime; a reactor that is given
// none makes its own. Each pool starts its threads when it is first used.
//
// Threads: any.
#pragma once

#include <gyre/platform/clock.h>
#include <gyre/task/cpu_pool.h>
#include <gyre/task/job.h>
#include <gyre/task/job_pool.h>

namespace gyre {

struct PoolsOptions {
  JobPoolOptions blocking{.name = "blocking", .threads_max = 16, .waiting_max = 10'000};
  JobPoolOptions resolver{.name = "resolver", .threads_max = 4, .waiting_max = 1'000};
  CpuPoolOptions cpu{};
  // How long ~Pools() waits for jobs that have begun. What has not ended by then is reported on standard error and left
  // behind: it must not use what its owner destroys. (asyncio.run() has the same limit.)
  Duration stop_grace = std::chrono::minutes(5);
};

class Pools {
 public:
  explicit Pools(const PoolsOptions& options = {});
  Pools(const Pools&) = delete;
  Pools& operator=(const Pools&) = delete;
  // stop_until(now and `stop_grace`), unless stop_until() has given up already.
  ~Pools();

  // For calls that block; offload()'s choice.
  JobPool& blocking() noexcept { return blocking_; }
  // For name resolution only.
  JobPool& resolver() noexcept { return resolver_; }

  // For computing.
  CpuPool& cpu() noexcept { return cpu_; }

  // Stops each of them, with one deadline for all: see JobPool. Blocks the calling thread.
  void stop() noexcept { static_cast<void>(stop_until(never)); }
  StopReport stop_until(Instant deadline) noexcept;

 private:
  const Duration stop_grace_;
  bool has_given_up_ = false;
  JobPool blocking_;
  JobPool resolver_;
  CpuPool cpu_;
};

}  // namespace gyre
