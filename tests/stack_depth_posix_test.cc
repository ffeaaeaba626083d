// Any number of awaits in a row, and any depth of them that the heap allows, fit on a stack of 256 KiB: whatever compiler,
// optimisation level and sanitizer user code is compiled with. (No compiler promises that a symmetric transfer is a tail
// call, so Gyre counts them: see Scheduler.)
//
// The coroutines of support/deep_awaits.h are compiled by each compiler here at each level, and linked with the library that this test uses. GYRE_STACK_DEPTH=full: the library's own sources compiled alike (minutes).
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/platform/check.h>

#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
using gyre::test::Job;
using gyre::test::run_jobs;
using gyre::test::source_root;
using Strings = std::vector<std::string>;

struct Level {
  const char* name;
  Strings flags;
};
const std::vector<Level> levels = {
    {"O0", {"-O0"}},
    {"O1", {"-O1"}},
    {"O2", {"-O2"}},
    {"asan", {"-O1", "-fsanitize=address"}},
    {"tsan", {"-O1", "-fsanitize=thread"}},
};

bool full() {
  const char* const mode = std::getenv("GYRE_STACK_DEPTH");
  return mode != nullptr && std::string_view(mode) == "full";
}

// The library beside this program; empty if it is built elsewhere.
fs::path library() {
  const fs::path beside = fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "libgyre.a";
  return fs::exists(beside) ? beside : fs::path();
}

// What of the library runs tasks.
std::vector<fs::path> library_sources() {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(source_root() / "task")) {
    if (entry.path().extension() == ".cc" && entry.path().stem() != "job_pool") found.push_back(entry.path());
  }
  for (const char* name : {"check", "clock_posix", "error", "error_linux", "result"}) {
    found.push_back(source_root() / "platform" / (name + std::string(".cc")));
  }
  return found;
}

class StackDepthOfCompilerTest : public ::testing::TestWithParam<const char*> {};

TEST_P(StackDepthOfCompilerTest, IsBoundedAtEveryLevel) {
  const std::string compiler = GetParam();
  if (gyre::sanitized) GTEST_SKIP() << "the library is built with a sanitizer; the other modes test this";
  if (source_root().empty()) GTEST_SKIP() << "the sources are not at hand; set GYRE_SOURCE_ROOT";
  if (library().empty()) GTEST_SKIP() << "no libgyre.a beside this program";
  const std::string version = gyre::test::compiler_version(compiler);
  if (version.empty()) GTEST_SKIP() << "no " << compiler << " here";
  RecordProperty("version", version);

  const gyre::test::TemporaryFolder folder;
  std::vector<fs::path> sources = {source_root() / "tests/programs/deep_awaits.cc"};
  if (full()) {
    for (const fs::path& source : library_sources()) sources.push_back(source);
  }

  std::vector<Job> compilations;
  std::vector<Job> links;
  std::vector<Job> runs;
  for (const Level& level : levels) {
    const fs::path program = folder.path() / level.name;
    Strings flags = {"-std=c++20", "-pthread", "-I" + (library().parent_path().parent_path() / "include").string()};
    if (gyre::debug_checks) flags.push_back("-DGYRE_DEBUG");
    flags.insert(flags.end(), level.flags.begin(), level.flags.end());
    Strings link = {compiler};
    link.insert(link.end(), flags.begin(), flags.end());
    for (const fs::path& source : sources) {
      const std::string object = program.string() + "_" + source.parent_path().stem().string() + "_" +
                                 source.stem().string() + ".o";
      Strings compile = gyre::test::cached_compiler(compiler);
      compile.insert(compile.end(), flags.begin(), flags.end());
      compile.insert(compile.end(), {"-c", source, "-o", object});
      compilations.push_back({.command = compile, .output = object + ".log"});
      link.push_back(object);
    }
    link.push_back(library());  // what was not compiled
    link.insert(link.end(), {"-o", program});
    links.push_back({.command = link, .output = program.string() + ".link.log"});
    runs.push_back({.command = {program}, .output = program.string() + ".log"});
  }
  run_jobs(compilations);
  run_jobs(links);
  run_jobs(runs);
  for (const std::vector<Job>* jobs : {&compilations, &links, &runs}) {
    for (const Job& job : *jobs) {
      EXPECT_EQ(job.status, 0) << version << ": " << job.command.back() << "\n" << gyre::test::read_text(job.output);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, StackDepthOfCompilerTest, ::testing::Values("g++", "clang++-16"),
                         [](const auto& parameter) { return parameter.param[0] == 'g' ? "gcc" : "clang16"; });

}  // namespace
