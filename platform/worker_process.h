// A process that was started to work for a ProcessPool: how it knows, and its end of the line, on which it blocks.
#pragma once

#include <cstddef>
#include <string_view>

#include <gyre/platform/unique_fd.h>

namespace gyre {

// How a pool tells its workers: this descriptor, and this variable of the environment.
inline constexpr int worker_descriptor = 3;
inline constexpr std::string_view worker_variable = "GYRE_POOL_WORKER";

// Whether this process was started as a worker and has not taken its socket yet.
bool is_worker_process() noexcept;
// The worker's socket; none if this process is no worker. Takes the mark out of the environment, so that children are
// no workers, and ignores SIGINT, which is the parent's to handle. Call it while there is one thread.
UniqueFd take_worker_socket() noexcept;

// All of it, waiting as long as it takes. False: the other side has gone.
bool read_whole(NativeDescriptor socket, void* buffer, std::size_t size) noexcept;
bool write_whole(NativeDescriptor socket, const void* bytes, std::size_t size) noexcept;

}  // namespace gyre
