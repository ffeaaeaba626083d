// What a program executes, counted by callgrind: the same on every machine that runs the same instructions. The programs are
// built as users build, for release and without debug checks.
#pragma once

#include <cstdio>
#include <filesystem>
#include <optional>
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

// Instructions of `command`, whose first words may be variables for its environment; only those inside the function that
// `toggle` names, if it names one. None if it fails: its errors are printed.
inline std::optional<double> count_instructions(const std::vector<std::string>& variables, const std::vector<std::string>& command,
                                                const std::string& toggle = "") {
  const TemporaryFolder folder;
  const std::filesystem::path profile = folder.path() / "profile";
  Job job{.command = {"/usr/bin/env"}, .output = folder.path() / "output"};
  job.command.insert(job.command.end(), variables.begin(), variables.end());
  for (const std::string& word : {std::string("valgrind"), std::string("--tool=callgrind"), "--callgrind-out-file=" + profile.string()}) {
    job.command.push_back(word);
  }
  if (!toggle.empty()) job.command.push_back("--toggle-collect=" + toggle);
  job.command.insert(job.command.end(), command.begin(), command.end());
  std::vector<Job> jobs = {job};
  run_jobs(jobs);
  if (jobs[0].status != 0) {
    std::fputs(read_text(jobs[0].output).c_str(), stderr);
    return std::nullopt;
  }
  const std::string text = read_text(profile);
  const std::size_t at = text.find("\ntotals: ");
  if (at == std::string::npos) return std::nullopt;
  return std::stod(text.substr(at + 9));
}

}  // namespace gyre::test
