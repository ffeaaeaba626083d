// What the programs of this folder share: how long something took, and where a file may go.
#pragma once

#include <cstdio>
#include <filesystem>
#include <string>

#include <gyre/platform/clock.h>

namespace book {

inline gyre::Instant now() { return gyre::steady_clock().now(); }

inline double seconds(gyre::Duration duration) { return static_cast<double>(duration.count()) / 1e9; }
inline double seconds_since(gyre::Instant begin) { return seconds(now() - begin); }

inline void print_speed_up(const char* how, double before, double after) {
  std::printf("%-22s %.3f s\n%-22s %.3f s, %.2f times as fast\n", "one after the other", before, how, after, before / after);
}

// A new directory for the files of one run.
class TemporaryDirectory {
 public:
  TemporaryDirectory()
      : path_(std::filesystem::temp_directory_path() / ("gyre-book-" + std::to_string(now().nanoseconds()))) {
    std::filesystem::create_directory(path_);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string file(const char* name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace book
