#include <gyre/platform/inherited_descriptors.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <gyre/platform/file_system.h>
#include <gyre/platform/syscalls_posix.h>

namespace gyre {

namespace {

constexpr std::int64_t descriptors_max = 1024;

// -1 for what is no decimal number.
std::int64_t number_of(const char* text) noexcept {
  std::int64_t value = -1;
  const char* const end = text + std::strlen(text);
  const auto [last, error] = std::from_chars(text, end, value);
  return error == std::errc() && last == end ? value : -1;
}

}  // namespace

Result<std::vector<UniqueFd>> take_inherited_descriptors(NativeDescriptor first) {
  std::vector<UniqueFd> taken;
  const char* const pid = std::getenv("LISTEN_PID");
  const char* const count_text = std::getenv("LISTEN_FDS");
  if (pid == nullptr || count_text == nullptr) return taken;
  const std::int64_t wanted_pid = number_of(pid);
  const std::int64_t count = number_of(count_text);
  if (wanted_pid < 0 || count < 0 || count > descriptors_max) {
    return Error::system(EINVAL, OperationKind::listen).at(Place::text("LISTEN_FDS"));
  }
  if (wanted_pid != sys::getpid()) return taken;
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) unsetenv(name);
  for (std::int64_t i = 0; i < count; ++i) {
    // More were promised than have been left.
    const NativeDescriptor number = first + static_cast<NativeDescriptor>(i);
    const bool is_there = sys::get_flags(number) >= 0;
    if (!is_there) return Error::system(EBADF, OperationKind::listen).at(Place::text("LISTEN_FDS"));
    const Result<FileStatus> status = file_status(number);
    const bool is_socket = status && status->type == FileType::socket;
    if (!is_socket) return Error::system(ENOTSOCK, OperationKind::listen).at(Place::text("LISTEN_FDS"));
  }
  taken.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    // A duplicate is close-on-exec from its beginning, and needs no further call to become so.
    const UniqueFd inherited(first + static_cast<NativeDescriptor>(i));
    Result<UniqueFd> ours = sys::duplicate(inherited.get());
    if (!ours) return ours.error().with(OperationKind::listen);
    taken.push_back(std::move(*ours));
  }
  return taken;
}

}  // namespace gyre
