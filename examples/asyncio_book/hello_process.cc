// Hello from another process, twice: a function of this program in a process of its own, and another program.
#include <cstdio>
#include <memory>
#include <string>

#include <gyre/net/process.h>
#include <gyre/net/process_pool.h>
#include <gyre/reactor/run.h>

#include "this_process.h"

// In the child. What it returns comes back as bytes: no memory is shared.
std::string say_hello(long parent) {
  const bool is_child = book::parent_id() == parent && book::process_id() != parent;
  return is_child ? "hello from child process " + std::to_string(book::process_id()) : "";
}

gyre::Task<gyre::Result<void>> greet() {
  std::printf("hello from parent process %ld\n", book::process_id());
  gyre::Result<std::unique_ptr<gyre::ProcessPool>> pool = gyre::ProcessPool::create({.workers = 1});
  if (!pool) co_return pool.error();
  const gyre::Result<std::string> hello = co_await (*pool)->call<say_hello>(book::process_id());
  if (!hello) co_return hello.error();
  std::printf("%s, a function of this program\n", hello->c_str());
  const gyre::Result<void> ended = co_await (*pool)->shutdown();
  if (!ended) co_return ended;

  gyre::Command command = gyre::Command::shell("echo hello from child process $$");
  const gyre::Result<gyre::ProcessOutput> echoed = co_await gyre::Process::run(command);
  if (!echoed) co_return echoed.error();
  const std::string line = echoed->output.substr(0, echoed->output.find('\n'));
  std::printf("%s, a shell\n", line.c_str());
  const bool both_said_hello = !hello->empty() && line.starts_with("hello from child process ");
  co_return both_said_hello ? gyre::Result<void>() : gyre::Errc::broken;
}

int main() {
  gyre::ProcessPool::serve_if_worker();  // a worker gets no further
  return gyre::exit_status(gyre::run(greet()));
}
