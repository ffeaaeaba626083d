// Standard input and output as streams: terminals, pipes, sockets, files and devices.
//
//   Result<SharedStream> input = standard_input();
//   BufferedReader reader(*input);
//   Result<std::string_view> line = co_await reader.read_line();
//
// The descriptor is shared with the shell and with siblings, who must not find it non-blocking: see
// platform/shared_descriptor.h. Where that cannot be avoided it is made to wait again when the stream goes.
#pragma once

#include <utility>

#include <gyre/net/stream.h>
#include <gyre/platform/shared_descriptor.h>
#include <gyre/platform/result.h>

namespace gyre {

class SharedStream : public Stream {
 public:
  SharedStream() noexcept = default;
  SharedStream(SharedStream&& other) noexcept
      : Stream(std::move(other)), restored_(std::exchange(other.restored_, no_descriptor)) {}
  SharedStream& operator=(SharedStream&& other) noexcept {
    if (this != &other) {
      restore();
      Stream::operator=(std::move(other));
      restored_ = std::exchange(other.restored_, no_descriptor);
    }
    return *this;
  }
  ~SharedStream() { restore(); }

  // A stream on a copy of `shared`, which stays the caller's, and open as long as this lives. Must be called inside a
  // task. A regular file is read and written at the position that is shared, and a disk may hold up the loop; see File.
  // Errors: bad_file_descriptor if `shared` is not open; is_a_directory; too_many_files_open.
  [[nodiscard]] static Result<SharedStream> open(NativeDescriptor shared);

  // Of the write side: closes the copy; the reader sees the end when all others have closed theirs, too.
  [[nodiscard]] Result<void> shutdown(ShutdownSide side = ShutdownSide::write) noexcept {
    if (side != ShutdownSide::read) close_now();
    return {};
  }
  // Nothing to reset: closes.
  void abort() noexcept { close_now(); }
  // Whether the descriptor is non-blocking for all who share it, until this stream goes.
  bool shares_mode() const noexcept { return restored_ != no_descriptor; }

 private:
  void restore() noexcept {
    if (restored_ != no_descriptor) set_blocking(std::exchange(restored_, no_descriptor));
  }

  NativeDescriptor restored_ = no_descriptor;  // to be made blocking again
};

// Must be called inside a task. Each call opens one more stream. Errors: those of SharedStream::open().
[[nodiscard]] Result<SharedStream> standard_input();
[[nodiscard]] Result<SharedStream> standard_output();
[[nodiscard]] Result<SharedStream> standard_error();

}  // namespace gyre
