#include <gyre/net/datagram_socket.h>

#include <algorithm>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/reported_error.h>
#include <gyre/platform/socket.h>

namespace gyre {

namespace {

// What came beside a datagram. Nobody wants descriptors here: they are closed.
std::size_t take_segment_size(std::span<const std::byte> control) noexcept {
  if (control.empty()) [[likely]] return 0;
  static_cast<void>(unpack_descriptors(control, {}));
  return find_segment_size(control);
}

}  // namespace

namespace detail {

Error datagram_error(OperationKind kind, const Operation* operation, std::int64_t failure,
                     const SocketAddress* to) noexcept {
  Error error = io_error(kind, operation, failure);
  if (to != nullptr && to->size != 0) error = error.at(place_of(*to));
  const Descriptor* const descriptor = descriptor_of(operation, failure);
  if (descriptor == nullptr || error.domain() != Domain::system || error.is_cancelled()) return error;
  const ReportedError reported = take_reported_error(descriptor->native);
  return reported.error ? reported.error.with(kind).at(place_of(reported.destination)) : error;
}

Result<Datagram> ReceiveDatagramAwaiter::await_resume() const noexcept {
  if (result_ < 0) [[unlikely]] return datagram_error(OperationKind::receive_message, operation_, result_);
  return Datagram{.size = static_cast<std::size_t>(result_),
                  .from = Endpoint(address_),
                  .truncated = (message_.flags & message_truncated) != 0,
                  .segment_size = take_segment_size(std::span(control_).first(message_.control_size))};
}

Result<void> SendDatagramAwaiter::await_resume() const noexcept {
  if (result_ >= 0) [[likely]] return {};
  return datagram_error(OperationKind::send_message, operation_, result_, &address_);
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
  added.segment_size = 0;
  ++filled_;
  unprepared_ = std::max(unprepared_, filled_);
  return true;
}

bool DatagramBatch::add_segments(std::span<const std::byte> bytes, std::uint16_t segment_size,
                                 const Endpoint& to) noexcept {
  GYRE_CHECK_HINT(segment_size > 0, "segments have a size");
  if (!add(bytes, to)) return false;
  entries_[filled_ - 1].segment_size = segment_size;
  return true;
}

void DatagramBatch::prepare_to_receive() noexcept {
  clear();
  const std::size_t count = std::exchange(unprepared_, count_);  // all, if the receive ends otherwise than in note_received()
  for (std::size_t i = 0; i < count; ++i) {
    entries_[i].slice.size = size_;
    messages_[i] = Message();
    messages_[i].slices = &entries_[i].slice;
    messages_[i].slices_count = 1;
    messages_[i].address = &entries_[i].address;
    messages_[i].control = entries_[i].control;
    messages_[i].control_size = sizeof(entries_[i].control);
  }
}

void DatagramBatch::note_received(std::size_t count) noexcept {
  filled_ = count;
  unprepared_ = count;
  for (std::size_t i = 0; i < count; ++i) {
    entries_[i].slice.size = messages_[i].size;
    entries_[i].segment_size = take_segment_size(std::span(entries_[i].control).first(messages_[i].control_size));
  }
}

void DatagramBatch::prepare_to_send(std::size_t first) noexcept {
  for (std::size_t i = first; i < filled_; ++i) {
    messages_[i] = Message();
    messages_[i].slices = &entries_[i].slice;
    messages_[i].slices_count = 1;
    messages_[i].address = entries_[i].address.size != 0 ? &entries_[i].address : nullptr;
    if (entries_[i].segment_size == 0) continue;
    messages_[i].control = entries_[i].control;
    messages_[i].control_size =
        pack_segment_size(entries_[i].control, static_cast<std::uint16_t>(entries_[i].segment_size));
  }
}

namespace {

// Awaits a batch; its errors are those of one datagram, the one to `first`.
template <OperationKind kind>
class [[nodiscard]] BatchAwaiter : public detail::TransferAwaiter<kind> {
 public:
  BatchAwaiter(Operation* operation, Message* messages, std::size_t count, const SocketAddress* first) noexcept
      : detail::TransferAwaiter<kind>(operation, messages, count), first_(first) {}
  Result<std::size_t> await_resume() const noexcept {
    if (this->result_ < 0) [[unlikely]] return detail::datagram_error(kind, this->operation_, this->result_, first_);
    return static_cast<std::size_t>(this->result_);
  }

 private:
  const SocketAddress* first_;
};

}  // namespace

Task<Result<std::size_t>> DatagramSocket::receive(DatagramBatch& batch) {
  batch.prepare_to_receive();
  const Result<std::size_t> count = co_await BatchAwaiter<OperationKind::receive_batch>(
      input(), batch.messages_.get(), batch.capacity(), nullptr);
  if (count) batch.note_received(*count);
  co_return count;
}

Task<Result<std::size_t>> DatagramSocket::send(DatagramBatch& batch, std::size_t first) {
  GYRE_CHECK_HINT(first < batch.size(), "nothing to send");
  if (batch.untold_) co_return std::exchange(batch.untold_, Error());
  batch.prepare_to_send(first);
  const Result<std::size_t> count = co_await BatchAwaiter<OperationKind::send_batch>(
      output(), batch.messages_.get() + first, batch.size() - first, &batch.entries_[first].address);
  // Linux forgets the error that ended the send in the middle, but keeps what was reported, and calls the socket ready for
  // that until somebody takes it.
  if (count && *count < batch.size() - first && is_open()) {
    const ReportedError reported = take_reported_error(native());
    if (reported.error) batch.untold_ = reported.error.with(OperationKind::send_batch).at(place_of(reported.destination));
  }
  co_return count;
}

}  // namespace gyre
