// Two requests one after the other: the second waits for a server that could have answered both at once.
#include <cstdio>

#include <gyre/reactor/run.h>

#include "local_web.h"
#include "measure.h"

gyre::Task<gyre::Result<void>> ask_twice(gyre::Endpoint where) {
  const gyre::Instant begin = book::now();
  for (int i = 0; i < 2; ++i) {
    const gyre::Result<int> status = co_await book::get_status(where);
    if (!status) co_return status.error();
    std::printf("%d\n", *status);
    if (*status != 200) co_return gyre::Errc::broken;
  }
  std::printf("one after the other took %.3f s\n", book::seconds_since(begin));
  co_return gyre::Result<void>{};
}

int main() { return book::run_with_server(std::chrono::milliseconds(200), ask_twice); }
