#include <gyre/net/pipe.h>

#include <utility>

#include <gyre/platform/socket.h>

namespace gyre {

Result<PipeReader> PipeReader::adopt(UniqueFd fd) {
  PipeReader reader;
  const Result<void> attached = reader.attach(std::move(fd), DescriptorKind::stream);
  if (!attached) return attached.error();
  return reader;
}

Result<void> PipeReader::shutdown(ShutdownSide side) noexcept {
  if (!is_open()) return Error(Errc::closed, OperationKind::shutdown);
  if (side != ShutdownSide::write) close_now();
  return {};
}

Result<PipeWriter> PipeWriter::adopt(UniqueFd fd) {
  PipeWriter writer;
  const Result<void> attached = writer.attach(std::move(fd), DescriptorKind::stream);
  if (!attached) return attached.error();
  return writer;
}

Result<void> PipeWriter::shutdown(ShutdownSide side) noexcept {
  if (!is_open()) return Error(Errc::closed, OperationKind::shutdown);
  if (side != ShutdownSide::read) close_now();
  return {};
}

Result<Pipe> Pipe::open() {
  Result<DescriptorPair> ends = open_pipe();
  if (!ends) return ends.error();
  Result<PipeReader> reader = PipeReader::adopt(std::move(ends->first));
  if (!reader) return reader.error();
  Result<PipeWriter> writer = PipeWriter::adopt(std::move(ends->second));
  if (!writer) return writer.error();
  return Pipe{std::move(*reader), std::move(*writer)};
}

}  // namespace gyre
