// Hello from another thread of the same process: it sees the same memory.
#include <cstdio>
#include <string>

#include <gyre/reactor/offload.h>
#include <gyre/reactor/run.h>

#include "this_process.h"

// On a thread of the reactor's pool.
std::size_t say_hello(std::string* from) {
  *from = book::thread_name();
  std::printf("hello from thread %s of process %ld\n", from->c_str(), book::process_id());
  return book::count_threads();
}

gyre::Task<gyre::Result<void>> greet() {
  std::string other;
  const gyre::Result<std::size_t> threads = co_await gyre::offload(say_hello, &other);
  if (!threads) co_return threads.error();
  std::printf("process %ld had %zu threads then; this one is called %s\n", book::process_id(), *threads,
              book::thread_name().c_str());
  co_return other == book::thread_name() ? gyre::Errc::broken : gyre::Result<void>();
}

int main() { return gyre::exit_status(gyre::run(greet())); }
