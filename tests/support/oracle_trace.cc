#include "oracle_trace.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>

#include <gyre/platform/check.h>

namespace gyre::testing {
namespace {

const char* const traces_directory = "tests/oracle/traces";

OracleTrace load(const std::filesystem::path& path) {
  OracleTrace trace;
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("# ")) {
      trace.description = line.substr(2);
    } else if (!line.empty()) {
      trace.events.push_back(line);
    }
  }
  return trace;
}

std::filesystem::path path_of(std::string_view name, std::string_view suffix) {
  return std::filesystem::path(traces_directory) / (std::string(name) + std::string(suffix));
}

}  // namespace

OracleTrace load_asyncio_trace(std::string_view name) { return load(path_of(name, ".trace")); }

OracleTrace load_expected_trace(std::string_view name) {
  const std::filesystem::path improved = path_of(name, ".gyre");
  if (std::filesystem::exists(improved)) return load(improved);
  return load_asyncio_trace(name);
}

std::vector<std::string> list_traces(std::string_view suffix) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(traces_directory, error)) {
    if (entry.path().extension() == suffix) names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

void TraceLog::note(std::string event) {
  const Duration elapsed = clock_.now() - start_;
  const auto whole = std::chrono::duration_cast<std::chrono::milliseconds>(elapsed);
  GYRE_CHECK(whole == elapsed);
  events_.push_back(std::to_string(whole.count()) + ' ' + event);
}

std::string diff_traces(const std::vector<std::string>& expected, const std::vector<std::string>& actual) {
  if (expected == actual) return {};
  // common[i][j]: length of the longest common subsequence of expected[i..] and actual[j..].
  const std::size_t rows = expected.size();
  const std::size_t columns = actual.size();
  std::vector<std::vector<std::size_t>> common(rows + 1, std::vector<std::size_t>(columns + 1, 0));
  for (std::size_t i = rows; i-- > 0;) {
    for (std::size_t j = columns; j-- > 0;) {
      common[i][j] = expected[i] == actual[j] ? common[i + 1][j + 1] + 1
                                              : std::max(common[i + 1][j], common[i][j + 1]);
    }
  }
  std::string text;
  for (std::size_t i = 0, j = 0; i < rows || j < columns;) {
    if (i < rows && j < columns && expected[i] == actual[j]) {
      text += "  " + actual[j] + '\n';
      ++i;
      ++j;
    } else if (j == columns || (i < rows && common[i + 1][j] >= common[i][j + 1])) {
      text += "- " + expected[i++] + '\n';
    } else {
      text += "+ " + actual[j++] + '\n';
    }
  }
  return text;
}

}  // namespace gyre::testing
