// What a program executes, counted by callgrind: the same on every machine that runs the same instructions. The programs are
// built as users build, for release and without debug checks.
#pragma once

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "programs.h"

namespace gyre::test {

// Of the benchmarks that were built for release, beside the build of this test.
inline std::filesystem::path release_bench(const std::string& name) {
  const std::filesystem::path build = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path().parent_path();
  return build / "release" / "bench" / name;
}

// Whether callgrind can run anything here.
inline bool has_callgrind() {
  std::vector<Job> jobs = {{.command = {"/usr/bin/env", "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                                        "/bin/true"},
                            .output = "/dev/null"}};
  run_jobs(jobs);
  return jobs[0].status == 0;
}

// How to count, and what.
struct Counting {
  std::vector<std::string> variables;  // of the environment, NAME=VALUE
  std::vector<std::string> command;
  std::vector<std::string> options;    // of callgrind
};

// Instructions by parts, as the options cut the run into them; the last part is the rest. Empty if the command fails: its errors
// are printed.
inline std::vector<double> count_instructions(const Counting& counting) {
  const TemporaryFolder folder;
  const std::string profile = (folder.path() / "profile").string();
  Job job{.command = {"/usr/bin/env"}, .output = folder.path() / "output"};
  const auto append = [&job](const std::vector<std::string>& words) {
    job.command.insert(job.command.end(), words.begin(), words.end());
  };
  append(counting.variables);
  append({"valgrind", "--tool=callgrind", "--callgrind-out-file=" + profile});
  append(counting.options);
  append(counting.command);
  std::vector<Job> jobs = {job};
  run_jobs(jobs);
  if (jobs[0].status != 0) {
    std::fputs(read_text(jobs[0].output).c_str(), stderr);
    return {};
  }
  std::vector<double> parts;
  for (int part = 1;; ++part) {
    const std::string numbered = profile + "." + std::to_string(part);
    const bool is_last = !std::filesystem::exists(numbered);
    const std::string text = read_text(is_last ? profile : numbered);
    const std::size_t at = text.find("\ntotals: ");
    if (at == std::string::npos) return {};
    parts.push_back(std::stod(text.substr(at + 9)));
    if (is_last) return parts;
  }
}

}  // namespace gyre::test
