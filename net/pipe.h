// Pipe: one way, from a writer to a reader; each end is a stream that goes in its direction only.
#pragma once

#include <gyre/net/stream.h>
#include <gyre/platform/result.h>

namespace gyre {

class PipeReader : public Stream {
 public:
  PipeReader() noexcept = default;
  // Takes over the reading end of a pipe, a terminal and the like. Must be called inside a task. On failure it is closed.
  [[nodiscard]] static Result<PipeReader> adopt(UniqueFd fd);

  // The other direction is none; asking for it does not compile.
  template <typename... Arguments>
  void write(Arguments&&...) = delete;
  template <typename... Arguments>
  void write_all(Arguments&&...) = delete;

  // Of its own side closes this end, of the other does nothing. Errors: Errc::closed.
  [[nodiscard]] Result<void> shutdown(ShutdownSide side = ShutdownSide::read) noexcept;
  // Nothing to reset: closes.
  void abort() noexcept { close_now(); }
};

class PipeWriter : public Stream {
 public:
  PipeWriter() noexcept = default;
  // As PipeReader::adopt().
  [[nodiscard]] static Result<PipeWriter> adopt(UniqueFd fd);

  template <typename... Arguments>
  void read(Arguments&&...) = delete;
  template <typename... Arguments>
  void receive(Arguments&&...) = delete;
  template <typename... Arguments>
  void read_exactly(Arguments&&...) = delete;

  // As the reader's. The reader sees the end once it has read what was written.
  [[nodiscard]] Result<void> shutdown(ShutdownSide side = ShutdownSide::write) noexcept;
  void abort() noexcept { close_now(); }
};

struct Pipe {
  PipeReader reader;
  PipeWriter writer;

  // Must be called inside a task. Errors: too_many_files_open.
  [[nodiscard]] static Result<Pipe> open();
};

}  // namespace gyre
