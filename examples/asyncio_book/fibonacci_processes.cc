// The same two numbers in two processes, Python's way to use two processors. The start of the processes is measured by
// itself: each executes this program anew.
//
//   fibonacci_processes 40         the book's numbers, 40 and 41
#include <memory>

#include <gyre/net/process_pool.h>
#include <gyre/reactor/run.h>
#include <gyre/task/when_all.h>

#include "fibonacci.h"

gyre::Task<gyre::Result<void>> compare(unsigned n) {
  const double before = book::fib_one_after_the_other(n);

  gyre::Result<std::unique_ptr<gyre::ProcessPool>> made = gyre::ProcessPool::create({.workers = 2});
  if (!made) co_return made.error();
  gyre::ProcessPool& pool = **made;
  const gyre::Instant start = book::now();
  const auto started = co_await gyre::when_all(pool.call<book::fib>(1u), pool.call<book::fib>(2u));
  if (!started) co_return started.error();
  std::printf("two processes started in %.3f s\n", book::seconds_since(start));

  const gyre::Instant begin = book::now();
  const auto both = co_await gyre::when_all(pool.call<book::print_fib>(n), pool.call<book::print_fib>(n + 1));
  if (!both) co_return both.error();
  book::print_speed_up("in two processes", before, book::seconds_since(begin));

  const gyre::Result<void> ended = co_await pool.shutdown();
  if (!ended) co_return ended;
  const bool is_right = book::is_fib(n, std::get<0>(*both)) && book::is_fib(n + 1, std::get<1>(*both));
  co_return is_right ? gyre::Result<void>() : gyre::Errc::broken;
}

int main(int argc, char** argv) {
  gyre::ProcessPool::serve_if_worker();  // a worker gets no further
  return gyre::exit_status(gyre::run(compare(book::first_number(argc, argv))));
}
