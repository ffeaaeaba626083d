// What it costs to start a child, and for how long the starting thread stands still, beside posix_spawn and fork.
//
// `parent_mib` is memory that the parent has written: a fork copies its page tables, a clone with CLONE_VM does not.
// BM_X_Standstill is the starting call alone, which is what a loop loses: posix_spawn returns only once the child has
// executed its program. BM_X_StartAndWait is all of it, to the child's end.
#include <benchmark/benchmark.h>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include <gyre/net/process.h>
#include <gyre/platform/process.h>
#include <gyre/reactor/reactor.h>

namespace {

using gyre::ChildProgram;
using gyre::ChildStart;
using gyre::Result;
using gyre::Task;

// Written memory, so that it has page tables.
class Ballast {
 public:
  explicit Ballast(const benchmark::State& state)
      : size_(static_cast<std::size_t>(state.range(0)) << 20), memory_(new char[size_ + 1]) {
    std::memset(memory_.get(), 1, size_);
    benchmark::DoNotOptimize(memory_.get());
  }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> memory_;
};

void reap(pid_t child) {
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
}

pid_t spawn_by_libc() {
  char name[] = "/bin/true";
  char* const arguments[] = {name, nullptr};
  pid_t child = -1;
  if (::posix_spawn(&child, name, nullptr, nullptr, arguments, environ) != 0) return -1;
  return child;
}

pid_t spawn_by_fork() {
  const pid_t child = ::fork();
  if (child != 0) return child;
  char name[] = "/bin/true";
  char* const arguments[] = {name, nullptr};
  ::execve(name, arguments, environ);
  ::_exit(127);
}

template <pid_t (*spawn)()>
void start_and_wait(benchmark::State& state) {
  const Ballast ballast(state);
  for (auto _ : state) reap(spawn());
}
template <pid_t (*spawn)()>
void standstill(benchmark::State& state) {
  const Ballast ballast(state);
  for (auto _ : state) {
    const pid_t child = spawn();
    state.PauseTiming();
    reap(child);
    state.ResumeTiming();
  }
}

ChildProgram true_program() {
  ChildProgram program;
  program.paths = {"/bin/true"};
  program.arguments = {"/bin/true"};
  program.environment = gyre::current_environment();
  return program;
}

void BM_Gyre_Standstill(benchmark::State& state) {
  const Ballast ballast(state);
  const ChildProgram program = true_program();
  for (auto _ : state) {
    Result<ChildStart> start = ChildStart::begin(program);
    state.PauseTiming();
    if (!start) return state.SkipWithError("the child did not start");
    (void)gyre::reap_within(start->take_child(), std::chrono::seconds(10));
    (void)start->finish();
    start->note_end();
    state.ResumeTiming();
  }
}

Task<Result<void>> run_children(benchmark::State& state) {
  const gyre::Command command("/bin/true");
  for (auto _ : state) {
    Result<gyre::Process> process = co_await gyre::Process::start(command);
    if (!process) co_return process.error();
    const Result<gyre::ExitStatus> status = co_await process->wait();
    if (!status) co_return status.error();
    if (!status->success()) co_return gyre::Error(gyre::Errc::child_failed).at(gyre::Place::text(status->to_string()));
  }
  co_return Result<void>{};
}

void BM_Gyre_StartAndWait(benchmark::State& state) {
  const Ballast ballast(state);
  Result<std::unique_ptr<gyre::Reactor>> reactor = gyre::Reactor::create();
  if (!reactor) return state.SkipWithError("no reactor");
  const Result<void> done = (*reactor)->run_until(run_children(state));
  if (!done) state.SkipWithError(done.error().to_string().c_str());
}

#define BALLAST ArgName("parent_mib")->Arg(0)->Arg(512)->Unit(benchmark::kMicrosecond)->UseRealTime()
BENCHMARK(BM_Gyre_Standstill)->BALLAST;
BENCHMARK(standstill<spawn_by_libc>)->Name("BM_PosixSpawn_Standstill")->BALLAST;
BENCHMARK(standstill<spawn_by_fork>)->Name("BM_Fork_Standstill")->BALLAST;
BENCHMARK(BM_Gyre_StartAndWait)->BALLAST;
BENCHMARK(start_and_wait<spawn_by_libc>)->Name("BM_PosixSpawn_StartAndWait")->BALLAST;
BENCHMARK(start_and_wait<spawn_by_fork>)->Name("BM_Fork_StartAndWait")->BALLAST;

}  // namespace
