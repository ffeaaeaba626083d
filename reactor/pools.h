// Pools: the threads that reactors leave the loop for. One object for all reactors of a Runtime; a reactor that is given
// none makes its own. Each pool starts its threads when it is first used.
//
// Threads: any.
#pragma once

#include <gyre/task/cpu_pool.h>
#include <gyre/task/job_pool.h>

namespace gyre {

struct PoolsOptions {
  JobPoolOptions blocking{.name = "blocking", .threads_max = 16, .waiting_max = 10'000};
  JobPoolOptions resolver{.name = "resolver", .threads_max = 4, .waiting_max = 1'000};
  CpuPoolOptions cpu;
};

class Pools {
 public:
  explicit Pools(const PoolsOptions& options = {})
      : blocking_(options.blocking), resolver_(options.resolver), cpu_(options.cpu) {}

  // For calls that block; offload()'s choice.
  JobPool& blocking() noexcept { return blocking_; }
  // For name resolution only.
  JobPool& resolver() noexcept { return resolver_; }

  // For computing.
  CpuPool& cpu() noexcept { return cpu_; }

  // As ~Pools(): stop() of each.
  void stop() noexcept {
    blocking_.stop();
    resolver_.stop();
    cpu_.stop();
  }

 private:
  JobPool blocking_;
  JobPool resolver_;
  CpuPool cpu_;
};

}  // namespace gyre
