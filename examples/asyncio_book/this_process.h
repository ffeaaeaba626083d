// Who runs here: the process, its threads, the calling thread.
#pragma once

#include <pthread.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <filesystem>
#include <string>

namespace book {

inline long process_id() { return ::getpid(); }
inline long parent_id() { return ::getppid(); }

inline std::string thread_name() {
  std::array<char, 16> name{};
  ::pthread_getname_np(::pthread_self(), name.data(), name.size());
  return name.data();
}

// Linux; elsewhere 0. A sanitizer may have a thread of its own.
inline std::size_t count_threads() {
  std::error_code error;
  const std::filesystem::directory_iterator all("/proc/self/task", error);
  return error ? 0 : static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

}  // namespace book
