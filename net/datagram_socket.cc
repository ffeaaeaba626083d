#include <gyre/net/datagram_socket.h>

#include <algorithm>

#include <gyre/platform/check.h>
#include <gyre/platform/socket.h>

namespace gyre {

namespace detail {

Result<Datagram> ReceiveDatagramAwaiter::await_resume() const noexcept {
  if (result_ < 0) [[unlikely]] return io_error(OperationKind::receive_message, operation_, result_);
  Datagram datagram{.size = static_cast<std::size_t>(result_),
                    .from = Endpoint(address_),
                    .truncated = (message_.flags & message_truncated) != 0,
                    .segment_size = 0};
  if (message_.control_size != 0) {
    datagram.segment_size = find_segment_size(std::span(control_).first(message_.control_size));
  }
  return datagram;
}

Result<void> SendDatagramAwaiter::await_resume() const noexcept {
  if (result_ >= 0) [[likely]] return {};
  const Error error = io_error(OperationKind::send_message, operation_, result_);
  return address_.size != 0 ? error.at(place_of(address_)) : error;
}

}  // namespace detail

DatagramBatch::DatagramBatch(std::size_t count, std::size_t size)
    : count_(count),
      size_(size),
      buffer_(std::make_unique<std::byte[]>(count * size)),
      entries_(std::make_unique<Entry[]>(count)),
      messages_(std::make_unique<Message[]>(count)) {
  GYRE_CHECK_HINT(count >= 1 && count <= count_max, "a batch has 1 to 64 datagrams");
  for (std::size_t i = 0; i < count; ++i) entries_[i].slice.data = buffer_.get() + i * size;
}

DatagramBatch::Entry& DatagramBatch::entry(std::size_t index) const noexcept {
  GYRE_CHECK(index < filled_);
  return entries_[index];
}

std::span<std::byte> DatagramBatch::bytes(std::size_t index) noexcept {
  const IoSlice& slice = entry(index).slice;
  return {static_cast<std::byte*>(slice.data), slice.size};
}

Endpoint DatagramBatch::endpoint(std::size_t index) const noexcept { return Endpoint(entry(index).address); }

bool DatagramBatch::is_truncated(std::size_t index) const noexcept {
  static_cast<void>(entry(index));
  return (messages_[index].flags & message_truncated) != 0;
}

bool DatagramBatch::add(std::span<const std::byte> bytes, const Endpoint& to) noexcept {
  if (filled_ == count_ || bytes.size() > size_) return false;
  Entry& added = entries_[filled_];
  std::copy(bytes.begin(), bytes.end(), static_cast<std::byte*>(added.slice.data));
  added.slice.size = bytes.size();
  added.address = to.address();
  ++filled_;
  return true;
}

void DatagramBatch::prepare_to_receive() noexcept {
  filled_ = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    entries_[i].slice.size = size_;
    messages_[i] = Message();
    messages_[i].slices = &entries_[i].slice;
    messages_[i].slices_count = 1;
    messages_[i].address = &entries_[i].address;
  }
}

void DatagramBatch::note_received(std::size_t count) noexcept {
  filled_ = count;
  for (std::size_t i = 0; i < count; ++i) entries_[i].slice.size = messages_[i].size;
}

Task<Result<std::size_t>> DatagramSocket::receive(DatagramBatch& batch) {
  batch.prepare_to_receive();
  const Result<std::size_t> count = co_await detail::TransferAwaiter<OperationKind::receive_batch>(
      input(), batch.messages_.get(), batch.capacity());
  if (count) batch.note_received(*count);
  co_return count;
}

Task<Result<std::size_t>> DatagramSocket::send(DatagramBatch& batch, std::size_t first) {
  GYRE_CHECK_HINT(first < batch.size(), "nothing to send");
  for (std::size_t i = first; i < batch.size(); ++i) {
    DatagramBatch::Entry& entry = batch.entry(i);
    batch.messages_[i] = Message();
    batch.messages_[i].slices = &entry.slice;
    batch.messages_[i].slices_count = 1;
    batch.messages_[i].address = entry.address.size != 0 ? &entry.address : nullptr;
  }
  const Result<std::size_t> count = co_await detail::TransferAwaiter<OperationKind::send_batch>(
      output(), batch.messages_.get() + first, batch.size() - first);
  if (!count && batch.entry(first).address.size != 0) {
    co_return count.error().at(place_of(batch.entry(first).address));
  }
  co_return count;
}

}  // namespace gyre
