#include <gyre/platform/process_bsd.h>

#include <sys/types.h>

#include <sys/sysctl.h>

#include <cstddef>
#include <string>

#include <gyre/platform/process.h>

namespace gyre {

const int detail::spawn_flags = 0;
const int detail::spawn_session = 0;

// Closing what is not open is no error here. Needs FreeBSD 13.1.
void detail::close_others(posix_spawn_file_actions_t& actions, const std::vector<bool>& keeps) {
  for (std::size_t number = 0; number < keeps.size(); ++number) {
    if (!keeps[number]) ::posix_spawn_file_actions_addclose(&actions, static_cast<int>(number));
  }
  ::posix_spawn_file_actions_addclosefrom_np(&actions, static_cast<int>(keeps.size()));
}

std::string current_program() {
  const int name[] = {CTL_KERN, KERN_PROC, KERN_PROC_PATHNAME, -1};
  std::size_t size = 0;
  if (::sysctl(name, 4, nullptr, &size, nullptr, 0) < 0) return {};
  std::string path(size, '\0');
  if (::sysctl(name, 4, path.data(), &size, nullptr, 0) < 0) return {};
  path.resize(path.find('\0'));
  return path;
}

}  // namespace gyre
