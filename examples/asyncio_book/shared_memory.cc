// A process with three threads: they have one number in common, and see each other's changes to it.
#include <array>
#include <atomic>
#include <cstdio>
#include <string>
#include <thread>
#include <tuple>

#include <gyre/reactor/offload.h>
#include <gyre/reactor/run.h>
#include <gyre/task/when_all.h>

#include "this_process.h"

std::atomic<int> number{0};

// Waits for its turn, so that each thread has seen what the one before it has written; and stays until the second has
// been here, or one thread could do both.
std::string add(int turn) {
  while (number.load() != turn) std::this_thread::yield();
  const std::string line = book::thread_id() + " found " + std::to_string(turn) + " at ";
  std::printf("process %ld: thread %s%p\n", book::process_id(), line.c_str(), static_cast<void*>(&number));
  number.store(turn + 1);
  while (number.load() < 2) std::this_thread::yield();
  return book::thread_id();
}

gyre::Task<gyre::Result<void>> share() {
  const auto workers = co_await gyre::when_all(gyre::offload(add, 0), gyre::offload(add, 1));
  if (!workers) co_return workers.error();
  const auto& [first, second] = *workers;
  const std::string main_thread = add(2);
  std::printf("one process, 3 threads, one number: %d\n", number.load());
  const bool are_three = first != second && first != main_thread && second != main_thread;
  co_return are_three && number.load() == 3 ? gyre::Result<void>() : gyre::Errc::broken;
}

int main() { return gyre::exit_status(gyre::run(share())); }
