// Options of sockets, typed: switches are bool, times Duration, sizes bytes, the rest numbers.
//
//   stream.set_option(SocketOptions::keep_alive, true);
//   stream.set_option(SocketOptions::keep_alive_idle, 30s);
//   Result<bool> on = stream.option(SocketOptions::no_delay);
//
// Errors of all: no_protocol_option where the system or this kind of socket lacks the option; invalid_argument for a
// value out of its range; Errc::closed. They name the peer or, without one, the socket's own endpoint.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <gyre/net/endpoint.h>
#include <gyre/platform/clock.h>
#include <gyre/platform/result.h>
#include <gyre/platform/socket.h>

namespace gyre {

// What the system counts an option in.
enum class OptionUnit : std::uint8_t { on_off, number, bytes, seconds, milliseconds };

template <typename Value, OptionUnit unit>
struct TypedOption {
  SocketOption option;
};
using SwitchOption = TypedOption<bool, OptionUnit::on_off>;
using NumberOption = TypedOption<int, OptionUnit::number>;
using SizeOption = TypedOption<std::size_t, OptionUnit::bytes>;
// Times are rounded up to whole units of the system.
using SecondsOption = TypedOption<Duration, OptionUnit::seconds>;
using MillisecondsOption = TypedOption<Duration, OptionUnit::milliseconds>;

struct SocketOptions {
  // TCP.
  static constexpr SwitchOption no_delay{SocketOption::no_delay};  // small segments go at once; on in all of Gyre
  static constexpr SwitchOption quick_ack{SocketOption::quick_ack};  // falls back by itself
  static constexpr SwitchOption cork{SocketOption::cork};
  static constexpr SwitchOption keep_alive{SocketOption::keep_alive};
  static constexpr SecondsOption keep_alive_idle{SocketOption::keep_alive_idle};  // until the first probe
  static constexpr SecondsOption keep_alive_interval{SocketOption::keep_alive_interval};
  static constexpr NumberOption keep_alive_count{SocketOption::keep_alive_count};  // probes without an answer
  static constexpr MillisecondsOption user_timeout{SocketOption::user_timeout};  // for sent data to be acknowledged
  static constexpr NumberOption fast_open{SocketOption::fast_open};  // listener: how many may wait; 0: off
  static constexpr SwitchOption fast_open_connect{SocketOption::fast_open_connect};
  static constexpr SecondsOption defer_accept{SocketOption::defer_accept};  // listener: accepts once data have come
  // All sockets.
  static constexpr SwitchOption reuse_address{SocketOption::reuse_address};
  static constexpr SwitchOption reuse_port{SocketOption::reuse_port};
  static constexpr SizeOption send_buffer{SocketOption::send_buffer};        // Linux reads back twice of what was set
  static constexpr SizeOption receive_buffer{SocketOption::receive_buffer};  // as well
  // IP.
  static constexpr SwitchOption only_v6{SocketOption::only_v6};
  static constexpr SwitchOption free_bind{SocketOption::free_bind};
  static constexpr NumberOption type_of_service{SocketOption::type_of_service};  // IPv4
  static constexpr NumberOption traffic_class{SocketOption::traffic_class};      // IPv6
  static constexpr NumberOption time_to_live{SocketOption::time_to_live};        // IPv4
  static constexpr NumberOption hop_limit{SocketOption::hop_limit};              // IPv6
  // Datagrams.
  static constexpr SwitchOption broadcast{SocketOption::broadcast};
  static constexpr NumberOption multicast_hops_v4{SocketOption::multicast_hops_v4};
  static constexpr NumberOption multicast_hops_v6{SocketOption::multicast_hops_v6};
  static constexpr SwitchOption multicast_loop_v4{SocketOption::multicast_loop_v4};
  static constexpr SwitchOption multicast_loop_v6{SocketOption::multicast_loop_v6};
  static constexpr NumberOption multicast_interface_v6{SocketOption::multicast_interface_v6};
  static constexpr SwitchOption receive_credentials{SocketOption::receive_credentials};  // local: see UnixDatagram
  static constexpr SwitchOption receive_segments{SocketOption::receive_segments};  // UDP: several datagrams at once
};

namespace detail {

// The system's number for `value`, or invalid_argument if there is none.
Result<int> to_option_number(Duration value, OptionUnit unit) noexcept;
Result<int> to_option_number(std::size_t value, OptionUnit unit) noexcept;
inline Result<int> to_option_number(bool value, OptionUnit) noexcept { return value ? 1 : 0; }
inline Result<int> to_option_number(int value, OptionUnit) noexcept { return value; }

template <typename Value>
Value from_option_number(int number, OptionUnit unit) noexcept {
  if constexpr (std::is_same_v<Value, bool>) {
    return number != 0;
  } else if constexpr (std::is_same_v<Value, Duration>) {
    return unit == OptionUnit::seconds ? Duration(std::chrono::seconds(number)) : std::chrono::milliseconds(number);
  } else {
    return static_cast<Value>(number);
  }
}

// `error` at the other end of `socket`, or else at its own.
Error at_endpoint(const Error& error, NativeDescriptor socket) noexcept;

template <typename T>
Result<T> at_endpoint(const Result<T>& result, NativeDescriptor socket) noexcept {
  if (result) [[likely]] return result;
  return at_endpoint(result.error(), socket);
}

}  // namespace detail

// Options and addresses of a `Socket`, which has is_open() and native(): what all kinds of sockets have in common.
template <typename Socket>
class SocketAccess {
 public:
  template <typename Value, OptionUnit unit>
  [[nodiscard]] Result<void> set_option(TypedOption<Value, unit> option,
                                        std::type_identity_t<Value> value) noexcept {
    const Result<int> number = detail::to_option_number(value, unit);
    if (!number && self().is_open()) return detail::at_endpoint(number.error(), self().native());
    return set_option(option.option, number.value_or(0));
  }
  template <typename Value, OptionUnit unit>
  [[nodiscard]] Result<Value> option(TypedOption<Value, unit> wanted) const noexcept {
    const Result<int> number = option(wanted.option);
    if (!number) return number.error();
    return detail::from_option_number<Value>(*number, unit);
  }
  // The system's own numbers; see SocketOption.
  [[nodiscard]] Result<void> set_option(SocketOption option, int value) noexcept {
    if (!self().is_open()) return Error(Errc::closed, OperationKind::set_option);
    return detail::at_endpoint(gyre::set_option(self().native(), option, value), self().native());
  }
  [[nodiscard]] Result<int> option(SocketOption wanted) const noexcept {
    if (!self().is_open()) return Error(Errc::closed, OperationKind::get_option);
    return detail::at_endpoint(get_option(self().native(), wanted), self().native());
  }
  // What closing does with data that were not sent yet.
  [[nodiscard]] Result<void> set_linger(Linger linger) noexcept {
    if (!self().is_open()) return Error(Errc::closed, OperationKind::set_option);
    return detail::at_endpoint(gyre::set_linger(self().native(), linger), self().native());
  }
  [[nodiscard]] Result<Linger> linger() const noexcept {
    if (!self().is_open()) return Error(Errc::closed, OperationKind::get_option);
    return detail::at_endpoint(get_linger(self().native()), self().native());
  }

  // Errors: Errc::closed.
  [[nodiscard]] Result<Endpoint> local_endpoint() const noexcept {
    if (!self().is_open()) return Error(Errc::closed, OperationKind::address);
    const Result<SocketAddress> address = local_address(self().native());
    if (!address) return address.error();
    return Endpoint(*address);
  }
  // Errors: not_connected, once the connection is gone; Errc::closed.
  [[nodiscard]] Result<Endpoint> peer_endpoint() const noexcept {
    if (!self().is_open()) return Error(Errc::closed, OperationKind::address);
    const Result<SocketAddress> address = peer_address(self().native());
    if (!address) return address.error();
    return Endpoint(*address);
  }

 private:
  friend Socket;
  SocketAccess() noexcept = default;
  const Socket& self() const noexcept { return static_cast<const Socket&>(*this); }
};

}  // namespace gyre
