// Running other programs, compilers for one: for tests that compile what they test.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace gyre::test {

// Where the sources are: GYRE_SOURCE_ROOT, or found from the working directory upwards. Empty if nowhere.
const std::filesystem::path& source_root();

std::string read_text(const std::filesystem::path& path);

// A program with its arguments, and where its output and its errors go.
struct Job {
  std::vector<std::string> command;
  std::filesystem::path output;
  int status = -1;  // as wait() says it; 0 is success
};

// Runs all jobs, two at a time, each with a time limit and without address randomisation. Reaps only its own children.
void run_jobs(std::vector<Job>& jobs);

// What `command` prints; empty if it cannot be run.
std::string output_of(const std::vector<std::string>& command);

// "gcc 12.2.0", "clang 16.0.6"; empty if `compiler` cannot be run.
std::string compiler_version(const std::string& compiler);
// How to call it: through ccache if there is one, so that only the first compilation of a day takes long.
std::vector<std::string> cached_compiler(const std::string& compiler);

// A folder that goes away with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace gyre::test
