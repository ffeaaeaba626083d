// The part of process.h that is the same on every POSIX system.
#include <gyre/platform/process.h>

#include <unistd.h>

#include <algorithm>
#include <utility>

#include <gyre/platform/syscalls_posix.h>

// Some systems' headers leave it to the program.
extern char** environ;

namespace gyre {

std::string ExitStatus::to_string() const {
  return signal != 0 ? "killed by signal " + std::to_string(signal) : "exit status " + std::to_string(code);
}

// A child outlives its parent anyway, unless it was told not to.
void set_free(ChildHandle&) noexcept {}

std::vector<std::string> program_paths(std::string_view program,
                                       const std::vector<std::string>& environment) {
  if (program.find('/') != program.npos) return {std::string(program)};
  constexpr std::string_view name = "PATH=";
  std::string_view search = "/usr/local/bin:/usr/bin:/bin";
  for (const std::string& entry : environment) {
    if (entry.starts_with(name)) search = std::string_view(entry).substr(name.size());
  }
  std::vector<std::string> paths;
  for (std::size_t begin = 0; begin <= search.size();) {
    const std::size_t end = std::min(search.find(':', begin), search.size());
    std::string path(search.substr(begin, end - begin));
    // An empty entry is the current directory, by tradition.
    path += path.empty() ? "./" : "/";
    paths.push_back(path + std::string(program));
    begin = end + 1;
  }
  return paths;
}

std::vector<std::string> current_environment() {
  std::vector<std::string> environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    environment.emplace_back(*entry);
  }
  return environment;
}

std::vector<std::string> shell_command(std::string line) { return {"/bin/sh", "-c", std::move(line)}; }

Result<DescriptorPair> open_blocking_pipe() noexcept {
  UniqueFd ends[2];
  const Result<void> made = sys::pipe2(ends, 0);
  if (!made) return made.error();
  return DescriptorPair{std::move(ends[0]), std::move(ends[1])};
}

// The poller makes its end non-blocking, which the other end does not notice.
Result<ChildPipe> open_child_pipe(ChildPipeEnd end) noexcept {
  Result<DescriptorPair> made = open_blocking_pipe();
  if (!made) return made.error();
  if (end == ChildPipeEnd::child_reads) return ChildPipe{std::move(made->second), std::move(made->first)};
  return ChildPipe{std::move(made->first), std::move(made->second)};
}

Result<UniqueFd> open_null_device() noexcept {
  const std::int64_t fd = sys::openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
  if (fd < 0) {
    return Error::system(static_cast<std::int32_t>(-fd), OperationKind::open_file).at(Place::text("/dev/null"));
  }
  return UniqueFd(static_cast<NativeDescriptor>(fd));
}

}  // namespace gyre
