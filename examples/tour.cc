// What Gyre says when something goes wrong: what was attempted, on what, and why it failed.
#include <cstdint>
#include <cstdio>
#include <string>

#include <gyre/platform/error.h>
#include <gyre/platform/result.h>

namespace {

gyre::Result<std::uint16_t> connect_to(std::uint16_t port) {
  if (port != 7) return port;
  const std::uint8_t loopback[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return gyre::Error::system(111, gyre::OperationKind::connect).at(gyre::Place::ipv6(loopback, port, 0));
}

}  // namespace

int main() {
  for (const std::uint16_t port : {std::uint16_t{80}, std::uint16_t{7}}) {
    const gyre::Result<std::uint16_t> connected = connect_to(port);
    if (connected) {
      std::printf("connected to port %u\n", static_cast<unsigned>(*connected));
    } else {
      std::printf("%s\n", connected.error().to_string().c_str());
    }
  }
  return 0;
}
