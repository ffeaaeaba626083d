#include <gyre/platform/network_interface.h>

#include <winsock2.h>
#include <ws2ipdef.h>
#include <iphlpapi.h>

#include <cerrno>
#include <cstring>

namespace gyre {

static_assert(IF_NAMESIZE - 1 <= interface_name_max);

// By the system's own names ("ethernet_32769"), not by those that people give them.
Result<std::uint32_t> interface_number(std::string_view name) noexcept {
  char text[IF_NAMESIZE] = {};
  if (name.size() < sizeof(text)) {
    name.copy(text, name.size());
    const unsigned number = ::if_nametoindex(text);
    if (number != 0) return static_cast<std::uint32_t>(number);
  }
  return Error::system(ENODEV, OperationKind::address);
}

InterfaceName interface_name(std::uint32_t number) noexcept {
  InterfaceName name;
  char text[IF_NAMESIZE] = {};
  if (number == 0 || ::if_indextoname(number, text) == nullptr) return name;
  const std::size_t size = std::strlen(text) < interface_name_max ? std::strlen(text) : interface_name_max;
  std::memcpy(name.text, text, size);
  name.size = static_cast<std::uint8_t>(size);
  return name;
}

}  // namespace gyre
