// The pollers that a build may contain, each made by one function in its own file. poller.cc lists those of this build.
#pragma once

#include <memory>

#include <gyre/platform/poller.h>
#include <gyre/platform/result.h>

namespace gyre {

// Linux. Errors: too_many_files_open, not_enough_memory.
Result<std::unique_ptr<Poller>> make_epoll_poller(const PollerOptions& options);

// Linux 5.11 or newer, where io_uring is allowed and a NOP comes back.
// Errors: function_not_supported, operation_not_permitted, permission_denied, not_enough_memory, too_many_files_open.
Result<std::unique_ptr<Poller>> make_io_uring_poller(const PollerOptions& options);

// macOS, the BSDs. Errors: too_many_files_open, not_enough_memory.
Result<std::unique_ptr<Poller>> make_kqueue_poller(const PollerOptions& options);

// Windows 10 or newer. Errors: not_enough_memory, no_buffer_space.
Result<std::unique_ptr<Poller>> make_iocp_poller(const PollerOptions& options);

}  // namespace gyre
