// DatagramSocket: messages that arrive whole or not at all; UdpSocket and UnixDatagram are such sockets.
//
// Each message takes a system call; a DatagramBatch takes one for up to 64. An error belongs to one message (of a
// connected UDP socket also to an earlier one that the peer's host has refused; see also UdpSocket::report_errors());
// the socket goes on.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <gyre/net/datagram_segments.h>
#include <gyre/net/endpoint.h>
#include <gyre/net/io_handle.h>
#include <gyre/platform/control_data.h>
#include <gyre/platform/operation.h>
#include <gyre/platform/result.h>

namespace gyre {

// What was received.
struct Datagram {
  std::size_t size = 0;          // bytes in the buffer; 0 for an empty datagram
  Endpoint from;
  bool truncated = false;        // it was longer than the buffer; the rest is lost
  std::size_t segment_size = 0;  // not 0: several datagrams of this size each (see DatagramSegments)
};

// Up to 64 datagrams that are received, or sent, at once. What was received can be sent back as it is.
class DatagramBatch {
 public:
  static constexpr std::size_t count_max = 64;

  // Room for `count` datagrams, 1 to count_max, of `size` bytes each. Throws bad_alloc.
  DatagramBatch(std::size_t count, std::size_t size);
  DatagramBatch(const DatagramBatch&) = delete;
  DatagramBatch& operator=(const DatagramBatch&) = delete;

  std::size_t capacity() const noexcept { return count_; }
  std::size_t size() const noexcept { return filled_; }
  bool empty() const noexcept { return filled_ == 0; }
  void clear() noexcept {
    filled_ = 0;
    untold_ = Error();
  }

  // Precondition of all: index < size().
  std::span<std::byte> bytes(std::size_t index) noexcept;
  Endpoint endpoint(std::size_t index) const noexcept;
  bool is_truncated(std::size_t index) const noexcept;
  // Not 0: what was received together, or goes to be cut: several datagrams of this size each, the last one shorter perhaps.
  std::size_t segment_size(std::size_t index) const noexcept { return entry(index).segment_size; }
  DatagramSegments segments(std::size_t index) noexcept { return {bytes(index), segment_size(index)}; }

  // Copies a datagram in. False if there is no room for it: the batch is full, or `bytes` are too many.
  bool add(std::span<const std::byte> bytes, const Endpoint& to) noexcept;
  // As add(), for a connected socket.
  bool add(std::span<const std::byte> bytes) noexcept { return add(bytes, Endpoint()); }
  // As add(); the system cuts `bytes` into datagrams of `segment_size` bytes. See UdpSocket::send_segments().
  bool add_segments(std::span<const std::byte> bytes, std::uint16_t segment_size, const Endpoint& to = {}) noexcept;

 private:
  friend class DatagramSocket;
  struct Entry {
    IoSlice slice;
    SocketAddress address;
    std::size_t segment_size = 0;
    alignas(8) std::byte control[segment_size_room + 8];
  };

  Entry& entry(std::size_t index) const noexcept;
  void prepare_to_receive() noexcept;
  void prepare_to_send(std::size_t first) noexcept;
  void note_received(std::size_t count) noexcept;

  std::size_t count_;
  std::size_t filled_ = 0;
  std::size_t unprepared_ = count_;  // messages from here on are as prepare_to_receive() leaves them
  std::size_t size_;
  std::unique_ptr<std::byte[]> buffer_;
  std::unique_ptr<Entry[]> entries_;
  std::unique_ptr<Message[]> messages_;  // as the poller wants them: in a row
  Error untold_;                         // what has ended a send in the middle; the next one says so
};

namespace detail {

// As io_error(), at the destination `to` if there is one. What a socket was told of an earlier datagram stands at that
// one's destination.
Error datagram_error(OperationKind kind, const Operation* operation, std::int64_t failure,
                     const SocketAddress* to = nullptr) noexcept;

// One message and all that belongs to it, in the awaiting frame.
class [[nodiscard]] ReceiveDatagramAwaiter : public TransferAwaiter<OperationKind::receive_message> {
 public:
  ReceiveDatagramAwaiter(Operation* operation, std::span<std::byte> buffer) noexcept
      : TransferAwaiter(operation, &message_, 0), slice_{buffer.data(), buffer.size()} {}

  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> frame) noexcept {
    message_.slices = &slice_;
    message_.slices_count = 1;
    message_.address = &address_;
    message_.control = control_;
    message_.control_size = sizeof(control_);
    return TransferAwaiter::await_suspend(frame);
  }
  Result<Datagram> await_resume() const noexcept;

 private:
  Message message_;
  IoSlice slice_;
  SocketAddress address_;
  alignas(8) std::byte control_[segment_size_room + 8];
};

class [[nodiscard]] SendDatagramAwaiter : public TransferAwaiter<OperationKind::send_message> {
 public:
  // `segment_size` 0: one datagram.
  SendDatagramAwaiter(Operation* operation, std::span<const std::byte> bytes, const Endpoint& to,
                      std::uint16_t segment_size = 0) noexcept
      : TransferAwaiter(operation, &message_, 0),
        slice_{const_cast<std::byte*>(bytes.data()), bytes.size()},
        address_(to.address()),
        segment_size_(segment_size) {}

  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> frame) noexcept {
    message_.slices = &slice_;
    message_.slices_count = 1;
    message_.address = address_.size != 0 ? &address_ : nullptr;
    if (segment_size_ != 0) {
      message_.control = control_;
      message_.control_size = pack_segment_size(control_, segment_size_);
    }
    return TransferAwaiter::await_suspend(frame);
  }
  Result<void> await_resume() const noexcept;

 private:
  Message message_;
  IoSlice slice_;
  SocketAddress address_;
  std::uint16_t segment_size_;
  alignas(8) std::byte control_[segment_size_room];
};

}  // namespace detail

class DatagramSocket : public IoHandle {
 public:
  // Not open.
  DatagramSocket() noexcept = default;

  // The next datagram. One that is longer than `buffer` is cut, and says so. Errors: connection_refused (of a connected
  // socket: an earlier message has found nobody), cancelled, timed_out, Errc::closed. Descriptors that come along are closed.
  [[nodiscard]] detail::ReceiveDatagramAwaiter receive(std::span<std::byte> buffer) noexcept {
    return {input(), buffer};
  }
  // Sends one datagram, which may be empty; to the connected peer if `to` is nowhere. Errors name the endpoint:
  // message_size (no datagram is that long), connection_refused (as above; this one was not sent),
  // destination_address_required, network_unreachable, permission_denied (broadcast without the option).
  [[nodiscard]] detail::SendDatagramAwaiter send_to(std::span<const std::byte> bytes, const Endpoint& to) noexcept {
    return {output(), bytes, to};
  }
  [[nodiscard]] detail::SendDatagramAwaiter send(std::span<const std::byte> bytes) noexcept {
    return {output(), bytes, Endpoint()};
  }

  // Waits for the first, and takes what is there, up to the batch's capacity. Returns how many; `batch` holds them.
  [[nodiscard]] Task<Result<std::size_t>> receive(DatagramBatch& batch);
  // Sends those from `first` on, and returns how many went: at least one; go on behind them. An error belongs to the one at
  // `first`, or has the place of an earlier datagram: see UdpSocket::report_errors().
  [[nodiscard]] Task<Result<std::size_t>> send(DatagramBatch& batch, std::size_t first = 0);
};

}  // namespace gyre
