// Fibonacci three ways: two numbers one after the other, on two threads, and each number split among all threads of a pool.
//
//   fibonacci 38           splits 38 and 39; true threads, so two are faster than one where there are two processors
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <gyre/reactor/offload.h>
#include <gyre/reactor/run.h>
#include <gyre/task/when_all.h>
#include <gyre/task/work.h>

long fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

// The same as a coroutine that offers its other half to idle threads; small ones are not worth it.
gyre::Work<long> split_fib(int n) {
  if (n < 20) co_return fib(n);
  long a = 0;
  co_await gyre::fork_into(a, split_fib(n - 1));
  const long b = co_await split_fib(n - 2);
  co_await gyre::join_forks();
  co_return a + b;
}

void tell(const char* how, gyre::Instant since, long a, long b) {
  const gyre::Duration took = gyre::steady_clock().now() - since;
  std::printf("%-20s %ld %ld  %.3f s\n", how, a, b, static_cast<double>(took.count()) / 1e9);
}

gyre::Task<gyre::Result<long>> compare(int n) {
  gyre::Instant begin = gyre::steady_clock().now();
  tell("one after the other", begin, fib(n), fib(n + 1));

  begin = gyre::steady_clock().now();
  const auto both = co_await gyre::when_all(gyre::offload(fib, n), gyre::offload(fib, n + 1));
  if (!both) co_return both.error();
  tell("on two threads", begin, std::get<0>(*both), std::get<1>(*both));

  begin = gyre::steady_clock().now();
  const gyre::Result<long> a = co_await gyre::offload(split_fib, n);
  if (!a) co_return a.error();
  const gyre::Result<long> b = co_await gyre::offload(split_fib, n + 1);
  if (!b) co_return b.error();
  tell("split", begin, *a, *b);
  co_return *b - *a;
}

int main(int argc, char** argv) {
  const int n = argc > 1 ? std::atoi(argv[1]) : 22;
  const gyre::Result<long> difference = gyre::run(compare(n));
  return difference && *difference == fib(n - 1) ? 0 : 1;
}
