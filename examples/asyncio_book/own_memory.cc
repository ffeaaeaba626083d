// A parent process with two children: each has a number of its own, and changes to one are changes to no other.
#include <cstdio>
#include <memory>
#include <string>
#include <tuple>

#include <gyre/net/process_pool.h>
#include <gyre/reactor/run.h>
#include <gyre/task/when_all.h>

#include "this_process.h"

int number = 0;

void tell(const char* who, long process, int value) { std::printf("%s process %ld: its number is %d\n", who, process, value); }

// In a child.
int add(int amount) { return number += amount; }
long child_id(int) { return book::process_id(); }

gyre::Task<gyre::Result<void>> add_and_tell(gyre::ProcessPool* pool, int amount) {
  const gyre::Result<long> id = co_await pool->call<child_id>(0);
  if (!id) co_return id.error();
  const gyre::Result<int> value = co_await pool->call<add>(amount);
  if (!value) co_return value.error();
  tell("child", *id, *value);
  co_return *value == amount && *id != book::process_id() ? gyre::Result<void>() : gyre::Errc::broken;
}

gyre::Task<gyre::Result<void>> start_children() {
  // A pool of one worker each, so that it is known who is asked.
  gyre::Result<std::unique_ptr<gyre::ProcessPool>> one = gyre::ProcessPool::create({.workers = 1});
  gyre::Result<std::unique_ptr<gyre::ProcessPool>> other = gyre::ProcessPool::create({.workers = 1});
  if (!one) co_return one.error();
  if (!other) co_return other.error();
  const auto both = co_await gyre::when_all(add_and_tell(one->get(), 10), add_and_tell(other->get(), 20));
  if (!both) co_return both.error();
  tell("parent", book::process_id(), number);
  for (gyre::ProcessPool* pool : {one->get(), other->get()}) {
    const gyre::Result<void> ended = co_await pool->shutdown();
    if (!ended) co_return ended;
  }
  co_return number == 0 ? gyre::Result<void>() : gyre::Errc::broken;
}

int main() {
  gyre::ProcessPool::serve_if_worker();  // a worker gets no further
  return gyre::exit_status(gyre::run(start_children()));
}
