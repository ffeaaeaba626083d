// Two requests at once on one thread: while one task waits, the other may run.
#include <cstdio>

#include <gyre/reactor/run.h>
#include <gyre/task/when_all.h>

#include "local_web.h"
#include "measure.h"

gyre::Task<gyre::Result<int>> print_status(gyre::Endpoint where) {
  const gyre::Result<int> status = co_await book::get_status(where);
  if (status) std::printf("%d\n", *status);
  co_return status;
}

gyre::Task<gyre::Result<void>> ask_twice(gyre::Endpoint where) {
  const gyre::Instant begin = book::now();
  const auto both = co_await gyre::when_all(print_status(where), print_status(where));
  if (!both) co_return both.error();
  std::printf("as two tasks took %.3f s\n", book::seconds_since(begin));
  const auto& [one, other] = *both;
  co_return one == 200 && other == 200 ? gyre::Result<void>() : gyre::Errc::broken;
}

int main() { return book::run_with_server(std::chrono::milliseconds(200), ask_twice); }
