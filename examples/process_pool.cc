// Process pool: CPU-bound work in other processes, which use all CPUs and may crash without harm.
//
//   process_pool 32         Fibonacci 32, four times, on as many processes as there are CPUs
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include <gyre/net/process_pool.h>
#include <gyre/reactor/run.h>
#include <gyre/task/when_all.h>

std::uint64_t fibonacci(unsigned n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

// As a broken library would: the worker dies, and not this program.
int crash(int value) {
  std::fflush(nullptr);
  std::abort();
  return value;
}

gyre::Task<gyre::Result<std::uint64_t>> work(unsigned n) {
  gyre::Result<std::unique_ptr<gyre::ProcessPool>> pool = gyre::ProcessPool::create();
  if (!pool) co_return pool.error();

  std::vector<gyre::Task<gyre::Result<std::uint64_t>>> calls;
  for (int i = 0; i < 4; ++i) calls.push_back((*pool)->call<fibonacci>(n));
  const auto values = co_await gyre::gather(std::move(calls));
  if (!values) co_return values.error();
  for (const std::uint64_t value : *values) std::printf("fibonacci(%u) = %llu\n", n, static_cast<unsigned long long>(value));

  const gyre::Result<int> crashed = co_await (*pool)->call<crash>(1);
  std::printf("crash: %s\n", crashed ? "survived?" : crashed.error().to_string().c_str());
  if (crashed) co_return gyre::Errc::broken;

  const gyre::Result<std::uint64_t> again = co_await (*pool)->call<fibonacci>(n);
  if (!again) co_return again.error();
  const gyre::ProcessPoolStats& stats = (*pool)->stats();
  std::printf("%llu calls answered, %llu workers started, %llu lost\n", static_cast<unsigned long long>(stats.calls),
              static_cast<unsigned long long>(stats.workers_started), static_cast<unsigned long long>(stats.workers_lost));
  const gyre::Result<void> down = co_await (*pool)->shutdown();
  if (!down) co_return down.error();
  co_return *again;
}

int main(int argc, char** argv) {
  gyre::ProcessPool::serve_if_worker();  // a worker gets no further
  const int n = argc > 1 ? std::atoi(argv[1]) : 20;
  const gyre::Result<std::uint64_t> value = gyre::run(work(static_cast<unsigned>(n)));
  if (value) return argc > 1 || *value == 6765 ? 0 : 1;
  std::fprintf(stderr, "process_pool: %s\n", value.error().to_string().c_str());
  return 1;
}
