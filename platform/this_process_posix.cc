#include <gyre/platform/this_process.h>

#include <pthread.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace gyre {

std::int64_t process_id() noexcept { return ::getpid(); }
std::int64_t parent_process_id() noexcept { return ::getppid(); }

std::string thread_name() {
  std::array<char, 64> name{};
  ::pthread_getname_np(::pthread_self(), name.data(), name.size());
  return name.data();
}

// What is read here is Linux's; elsewhere it is not there.
std::size_t count_threads() {
  std::error_code error;
  const std::filesystem::directory_iterator all("/proc/self/task", error);
  return error ? 0 : static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

std::uint64_t peak_memory() {
  constexpr std::uint64_t kilobyte = 1024;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * kilobyte;
  }
  return 0;
}

bool is_terminal_output() noexcept { return ::isatty(STDOUT_FILENO) == 1; }

}  // namespace gyre
