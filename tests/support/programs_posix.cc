#include "programs.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <system_error>

#include "native_calls.h"

namespace gyre::test {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void become(const Job& job) {
  constexpr unsigned seconds_max = 600;  // Nothing here takes a hundredth of it, but machines are shared.
  alarm(seconds_max);
  // ThreadSanitizer fails with some address layouts, and what a wild pointer meets should be the same each time.
  fix_addresses();
  const int output = open(job.output.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  setenv("LC_ALL", "C", 1);
  setenv("ASAN_OPTIONS", "detect_leaks=0:detect_stack_use_after_return=1", 1);
  setenv("TSAN_OPTIONS", "report_bugs=1", 1);
  setenv("UBSAN_OPTIONS", "print_stacktrace=0", 1);
  std::vector<char*> arguments;
  for (const std::string& argument : job.command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  _exit(127);
}

}  // namespace

const fs::path& source_root() {
  static const fs::path found = [] {
    if (const char* given = std::getenv("GYRE_SOURCE_ROOT")) return fs::path(given);
    for (fs::path here = fs::current_path();; here = here.parent_path()) {
      if (fs::exists(here / "tests/traps/trap.h")) return here;
      if (here == here.parent_path()) return fs::path();
    }
  }();
  return found;
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void run_jobs(std::vector<Job>& jobs) {
  constexpr std::size_t at_once = 2;
  std::map<pid_t, Job*> running;
  const auto reap_one = [&running] {
    int status = 0;
    const pid_t ended = wait(&status);
    if (const auto job = running.find(ended); job != running.end()) {
      job->second->status = status;
      running.erase(job);
    }
  };
  for (Job& job : jobs) {
    if (running.size() == at_once) reap_one();
    const pid_t child = fork();
    if (child == 0) become(job);
    if (child > 0) running[child] = &job;
  }
  while (!running.empty()) reap_one();
}

std::string output_of(const std::vector<std::string>& command) {
  const TemporaryFolder folder;
  std::vector<Job> jobs = {{.command = command, .output = folder.path() / "output"}};
  run_jobs(jobs);
  return jobs[0].status == 0 ? read_text(jobs[0].output) : std::string();
}

std::string compiler_version(const std::string& compiler) {
  const bool is_clang = output_of({compiler, "--version"}).find("clang") != std::string::npos;
  const std::string number = output_of({compiler, is_clang ? "-dumpversion" : "-dumpfullversion"});
  if (number.empty()) return {};
  return (is_clang ? "clang " : "gcc ") + number.substr(0, number.find_first_of(" \n"));
}

std::vector<std::string> cached_compiler(const std::string& compiler) {
  static const bool has_cache = !output_of({"ccache", "--version"}).empty();
  if (has_cache) return {"ccache", compiler};
  return {compiler};
}

TemporaryFolder::TemporaryFolder() {
  std::string name = fs::temp_directory_path() / "gyre-test-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) std::abort();
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace gyre::test
