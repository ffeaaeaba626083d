#include <gyre/platform/process_bsd.h>

#include <mach-o/dyld.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include <gyre/platform/process.h>

namespace gyre {

// Every descriptor that no action names is closed.
const int detail::spawn_flags = POSIX_SPAWN_CLOEXEC_DEFAULT;
const int detail::spawn_session = POSIX_SPAWN_SETSID;

void detail::close_others(posix_spawn_file_actions_t& actions, const std::vector<bool>& keeps) {
  for (std::size_t number = 0; number < keeps.size(); ++number) {
    if (keeps[number]) ::posix_spawn_file_actions_addinherit_np(&actions, static_cast<int>(number));
  }
}

std::string current_program() {
  std::uint32_t size = 0;
  (void)::_NSGetExecutablePath(nullptr, &size);
  std::string path(size, '\0');
  if (::_NSGetExecutablePath(path.data(), &size) != 0) return {};
  path.resize(path.find('\0'));
  return path;
}

}  // namespace gyre
