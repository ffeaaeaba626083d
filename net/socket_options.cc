#include <gyre/net/socket_options.h>

namespace gyre::detail {

namespace {

constexpr Error out_of_range = Error::system(static_cast<int>(std::errc::invalid_argument), OperationKind::set_option);

}  // namespace

Result<int> to_option_number(Duration value, OptionUnit unit) noexcept {
  if (value < Duration::zero()) return out_of_range;
  const std::int64_t whole = unit == OptionUnit::seconds
                                 ? std::chrono::ceil<std::chrono::seconds>(value).count()
                                 : std::chrono::ceil<std::chrono::milliseconds>(value).count();
  if (whole > std::numeric_limits<int>::max()) return out_of_range;
  return static_cast<int>(whole);
}

Result<int> to_option_number(std::size_t value, OptionUnit) noexcept {
  if (value > static_cast<std::size_t>(std::numeric_limits<int>::max())) return out_of_range;
  return static_cast<int>(value);
}

Error at_endpoint(const Error& error, NativeDescriptor socket) noexcept {
  const SocketAddress peer = last_peer_address(socket);
  if (peer.size != 0) return error.at(place_of(peer));
  const Result<SocketAddress> own = local_address(socket);
  return own ? error.at(place_of(*own)) : error;
}

}  // namespace gyre::detail
