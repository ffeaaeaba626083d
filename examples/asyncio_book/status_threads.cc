// Two requests on two threads, each of which does nothing but wait for its answer. (For that it has a reactor of its own,
// and blocks in it.)
#include <cstdio>

#include <gyre/reactor/offload.h>
#include <gyre/reactor/run.h>
#include <gyre/task/when_all.h>

#include "local_web.h"
#include "measure.h"

gyre::Result<int> print_status(gyre::Endpoint where) {
  const gyre::Result<int> status = gyre::run(book::get_status(where));
  if (status) std::printf("%d\n", *status);
  return status;
}

gyre::Task<gyre::Result<void>> ask_twice(gyre::Endpoint where) {
  const gyre::Instant begin = book::now();
  const auto both = co_await gyre::when_all(gyre::offload(print_status, where), gyre::offload(print_status, where));
  if (!both) co_return both.error();
  std::printf("on two threads took %.3f s\n", book::seconds_since(begin));
  const auto& [one, other] = *both;
  co_return one == 200 && other == 200 ? gyre::Result<void>() : gyre::Errc::broken;
}

int main() { return book::run_with_server(std::chrono::milliseconds(200), ask_twice); }
