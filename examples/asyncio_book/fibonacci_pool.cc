// The same two numbers, each split among all threads of the CPU pool: whoever is idle takes half of what another has
// left. So all processors have work to the end, and twice as fast is possible on two.
//
//   fibonacci_pool 40              the book's numbers, 40 and 41
#include <gyre/reactor/offload.h>
#include <gyre/reactor/run.h>
#include <gyre/task/work.h>

#include "fibonacci.h"

// A coroutine that offers its other half to idle threads; small ones are not worth it.
gyre::Work<book::Number> split_fib(unsigned n) {
  if (n < 20) co_return book::fib(n);
  book::Number a = 0;
  co_await gyre::fork_into(a, split_fib(n - 1));
  const book::Number b = co_await split_fib(n - 2);
  co_await gyre::join_forks();
  co_return a + b;
}

// Both numbers, one after the other, each split; seconds.
gyre::Task<gyre::Result<double>> fib_by_pool(gyre::CpuPool* pool, unsigned n) {
  const gyre::Instant begin = book::now();
  for (const unsigned number : {n, n + 1}) {
    const gyre::Result<book::Number> value = co_await gyre::offload(*pool, split_fib, number);
    if (!value) co_return value.error();
    std::printf("fib(%u) is %llu\n", number, *value);
    if (!book::is_fib(number, *value)) co_return gyre::Errc::broken;
  }
  co_return book::seconds_since(begin);
}

gyre::Task<gyre::Result<void>> compare(unsigned n) {
  const double before = book::fib_one_after_the_other(n);
  gyre::CpuPool single({.threads = 1});
  const gyre::Result<double> alone = co_await fib_by_pool(&single, n);
  if (!alone) co_return alone.error();
  gyre::CpuPool& all = gyre::this_reactor().pools().cpu();
  const gyre::Result<double> together = co_await fib_by_pool(&all, n);
  if (!together) co_return together.error();
  std::printf("%-22s %.3f s\n", "not split", before);
  std::printf("%-22s %.3f s\n", "split, one thread", *alone);
  std::printf("split, %u threads       %.3f s, %.2f times as fast as one\n", all.threads(), *together, *alone / *together);
  co_return gyre::Result<void>{};
}

int main(int argc, char** argv) { return gyre::exit_status(gyre::run(compare(book::first_number(argc, argv)))); }
