#include "oracles.h"

#include <windows.h>

#include <malloc.h>
#include <winternl.h>

#include <algorithm>
#include <iterator>
#include <string_view>

namespace gyre::test {
namespace {

// The kind of thing that a handle names: "File" (sockets and pipes are files, too), "IoCompletion"; empty for no handle.
std::string type_of(HANDLE handle) {
  alignas(8) unsigned char memory[1024] = {};
  ULONG size = 0;
  if (::NtQueryObject(handle, ObjectTypeInformation, memory, sizeof(memory), &size) < 0) return {};
  const auto* const name = reinterpret_cast<const UNICODE_STRING*>(memory);
  std::string type;
  for (USHORT i = 0; i < name->Length / sizeof(wchar_t); ++i) type += static_cast<char>(name->Buffer[i]);
  return type;
}

}  // namespace

// Handles are multiples of 4 and small. The system's own libraries open keys, events and mutexes when they like, so only
// what Gyre deals in is listed.
std::vector<std::string> open_descriptors() {
  constexpr std::string_view types[] = {"File", "IoCompletion", "Process", "Job"};
  std::vector<std::string> lines;
  for (std::uintptr_t number = 4; number < 4096; number += 4) {
    const std::string type = type_of(reinterpret_cast<HANDLE>(number));
    if (std::find(std::begin(types), std::end(types), type) != std::end(types)) {
      lines.push_back(std::to_string(number) + " -> " + type);
    }
  }
  return lines;
}

void* allocate_aligned(std::size_t size, std::size_t alignment) noexcept { return _aligned_malloc(size, alignment); }

void free_aligned(void* memory) noexcept { _aligned_free(memory); }

}  // namespace gyre::test
