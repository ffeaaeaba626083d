#include "oracles.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <gtest/gtest.h>

namespace gyre::test {

std::vector<std::string> open_descriptors() {
  std::vector<std::pair<int, std::string>> found;
  DIR* const directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) {
    ADD_FAILURE() << "cannot read /proc/self/fd";
    return {};
  }
  while (const dirent* entry = ::readdir(directory)) {
    const std::string name = entry->d_name;
    if (name[0] == '.' || std::stoi(name) == ::dirfd(directory)) continue;
    char target[256] = {};
    const ssize_t size = ::readlink(("/proc/self/fd/" + name).c_str(), target, sizeof target - 1);
    found.emplace_back(std::stoi(name), size < 0 ? "?" : target);
  }
  ::closedir(directory);
  std::sort(found.begin(), found.end());
  std::vector<std::string> lines;
  for (const auto& [fd, target] : found) lines.push_back(std::to_string(fd) + " -> " + target);
  return lines;
}

void* allocate_aligned(std::size_t size, std::size_t alignment) noexcept {
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

void free_aligned(void* memory) noexcept { std::free(memory); }

}  // namespace gyre::test
