#include <gyre/net/copy.h>

#include <utility>

#include <gyre/platform/socket.h>
#include <gyre/reactor/io.h>
#include <gyre/reactor/reactor.h>

namespace gyre::detail {

namespace {

// Bytes asked of one call; a pipe holds 64 KiB unless it is told otherwise.
constexpr std::size_t splice_size = 64 * 1024;
// So that a fast peer and a long file do not keep the loop.
constexpr std::uint64_t send_file_size = 256 * 1024;

// What the system answers where it cannot, before anything has been moved.
bool is_refusal(const Error& error) noexcept {
  return error == std::errc::invalid_argument || error == std::errc::function_not_supported ||
         error == std::errc::operation_not_supported;
}

// A pipe whose ends this reactor watches.
class WatchedPipe {
 public:
  explicit WatchedPipe(Poller& poller) noexcept : poller_(poller) {}
  WatchedPipe(const WatchedPipe&) = delete;
  WatchedPipe& operator=(const WatchedPipe&) = delete;
  ~WatchedPipe() {
    if (output_ != nullptr) poller_.close(*output_);
    if (input_ != nullptr) poller_.close(*input_);
  }

  Result<void> open() {
    Result<DescriptorPair> ends = open_pipe();
    if (!ends) return ends.error();
    const Result<Descriptor*> output = poller_.attach(std::move(ends->first), DescriptorKind::stream);
    if (!output) return output.error();
    output_ = *output;
    const Result<Descriptor*> input = poller_.attach(std::move(ends->second), DescriptorKind::stream);
    if (!input) return input.error();
    input_ = *input;
    return {};
  }
  Descriptor& input() noexcept { return *input_; }    // is written
  Descriptor& output() noexcept { return *output_; }  // is read

 private:
  Poller& poller_;
  Descriptor* input_ = nullptr;
  Descriptor* output_ = nullptr;
};

// The request stands in the target's slot.
Operation& splice_operation(Descriptor& from, Descriptor& to, std::size_t size) noexcept {
  Operation& operation = to.output;
  operation.kind = OperationKind::splice;
  operation.flags = 0;
  operation.source = &from;
  operation.size = size;
  return operation;
}

// The pipe's content by hand: the target takes nothing from a pipe.
Task<Result<void>> empty_pipe(WatchedPipe& pipe, Stream& to, std::size_t left, std::uint64_t& copied) {
  const auto memory = std::make_unique_for_overwrite<std::byte[]>(left);
  while (left > 0) {
    Operation& operation = pipe.output().input;
    operation.kind = OperationKind::receive;
    operation.flags = 0;
    operation.buffer = memory.get();
    operation.size = left;
    const Result<std::size_t> count = co_await OperationAwaiter(operation);
    if (!count) co_return count.error();
    const Result<void> written = co_await write_counted(to, std::span(memory.get(), *count), copied);
    if (!written) co_return written.error();
    left -= *count;
  }
  co_return Result<void>{};
}

}  // namespace

Task<Result<Moved>> splice(Stream& from, Stream& to, std::uint64_t& copied) {
  WatchedPipe pipe(this_reactor().poller());
  // Out of descriptors: by hand it goes on all the same.
  if (!pipe.open()) co_return Moved::refused;
  for (;;) {
    if (!from.is_open() || !to.is_open()) co_return Error(Errc::closed, OperationKind::splice);
    const Result<std::size_t> taken =
        co_await OperationAwaiter(splice_operation(from.slot(), pipe.input(), splice_size));
    if (!taken && is_refusal(taken.error())) co_return Moved::refused;
    if (!taken) co_return taken.error();
    if (*taken == 0) co_return Moved::all;
    if (from.is_open()) from.slot().bytes_received += *taken;
    for (std::size_t left = *taken; left > 0;) {
      if (!to.is_open()) co_return Error(Errc::closed, OperationKind::splice);
      const Result<std::size_t> given =
          co_await OperationAwaiter(splice_operation(pipe.output(), to.slot(), left));
      if (!given && is_refusal(given.error())) {
        const Result<void> emptied = co_await empty_pipe(pipe, to, left, copied);
        if (!emptied) co_return emptied.error();
        co_return Moved::refused;
      }
      if (!given) co_return given.error();
      if (to.is_open()) to.slot().bytes_sent += *given;
      copied += *given;
      left -= *given;
    }
  }
}

Task<Result<Moved>> send_file(Stream& to, File& from, SendFileOptions what, std::uint64_t& sent) {
  while (sent < what.size) {
    if (!to.is_open()) co_return Error(Errc::closed, OperationKind::send_file);
    Operation& operation = to.slot().output;
    operation.kind = OperationKind::send_file;
    operation.flags = 0;
    operation.source = &from.slot();
    operation.offset = static_cast<std::int64_t>(what.offset + sent);
    operation.size = static_cast<std::size_t>(std::min(what.size - sent, send_file_size));
    const Result<std::size_t> count = co_await OperationAwaiter(operation);
    if (!count && is_refusal(count.error())) co_return Moved::refused;
    if (!count) co_return count.error().at(from.place());
    if (*count == 0) break;
    if (to.is_open()) to.slot().bytes_sent += *count;
    sent += *count;
  }
  co_return Moved::all;
}

}  // namespace gyre::detail
