// The same two numbers on two threads. In Python, one thread would wait for the other's lock; here both compute.
// The larger number is 0.62 of the work, so no more than 1.62 times as fast is possible.
//
//   fibonacci_threads 40           the book's numbers, 40 and 41
#include <gyre/reactor/offload.h>
#include <gyre/reactor/run.h>
#include <gyre/task/when_all.h>

#include "fibonacci.h"

gyre::Task<gyre::Result<void>> compare(unsigned n) {
  const double before = book::fib_one_after_the_other(n);

  const gyre::Instant begin = book::now();
  const auto both = co_await gyre::when_all(gyre::offload(book::print_fib, n), gyre::offload(book::print_fib, n + 1));
  if (!both) co_return both.error();
  book::print_speed_up("on two threads", before, book::seconds_since(begin));

  const bool is_right = book::is_fib(n, std::get<0>(*both)) && book::is_fib(n + 1, std::get<1>(*both));
  co_return is_right ? gyre::Result<void>() : gyre::Errc::broken;
}

int main(int argc, char** argv) { return gyre::exit_status(gyre::run(compare(book::first_number(argc, argv)))); }
