// Pipes of Windows. CreatePipe() makes none that a completion port could serve, so these are named pipes, each with a
// name of its own that nobody else can open: it has one instance, and its other end is taken at once.
//
// Threads: any.
#pragma once

#include <cstdint>

#include <gyre/platform/result.h>
#include <gyre/platform/socket.h>

namespace gyre::sys {

enum class PipeMode : std::uint8_t {
  overlapped,  // for a poller
  blocking,    // as a child expects it
};

// `first` reads, `second` writes; neither is inherited. Errors: too_many_files_open, not_enough_memory.
Result<DescriptorPair> open_pipe(PipeMode reader, PipeMode writer) noexcept;

}  // namespace gyre::sys
