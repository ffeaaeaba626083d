#include <gyre/platform/network_interface.h>

#include <net/if.h>

#include <cerrno>
#include <cstring>

namespace gyre {

static_assert(IF_NAMESIZE <= interface_name_max);

Result<std::uint32_t> interface_number(std::string_view name) noexcept {
  char text[IF_NAMESIZE] = {};
  if (name.size() >= sizeof(text)) return Error::system(ENODEV, OperationKind::address);  // nobody has it
  name.copy(text, name.size());
  const unsigned number = ::if_nametoindex(text);
  if (number != 0) return static_cast<std::uint32_t>(number);
  const int error = errno;
  // BSD says ENXIO.
  return Error::system(error == 0 || error == ENXIO ? ENODEV : error, OperationKind::address);
}

InterfaceName interface_name(std::uint32_t number) noexcept {
  InterfaceName name;
  if (number == 0 || ::if_indextoname(number, name.text) == nullptr) return name;
  name.size = static_cast<std::uint8_t>(strnlen(name.text, IF_NAMESIZE));
  return name;
}

}  // namespace gyre
