// A descriptor of one's own for an open file that other processes share: standard input and output, mostly.
//
// O_NONBLOCK belongs to the open file, not to the descriptor: who sets it on standard input breaks the shell and every
// sibling that reads or writes the same terminal or pipe. So terminals, pipes and devices are opened anew where the
// system allows it (/proc/self/fd), which gives an open file with flags of its own. Sockets are asked not to wait call by
// call (on Linux), and regular files never wait: of these a duplicate will do, which also keeps the position that is shared.
#pragma once

#include <cstdint>
#include <utility>

#include <gyre/platform/poller.h>
#include <gyre/platform/result.h>
#include <gyre/platform/unique_fd.h>

namespace gyre {

struct SharedDescriptor {
  UniqueFd fd;
  DescriptorKind kind = DescriptorKind::stream;  // what to attach it as
  // It could not be opened anew (no /proc, a terminal of another user, a socket of a BSD, ...): attaching it makes `shared` itself
  // non-blocking, and whoever did so calls set_blocking(shared) in the end.
  bool shares_mode = false;
};

// `shared` stays the caller's, and as it is. Errors: bad_file_descriptor if it is not open, or is no file, pipe, device
// or socket (an epoll instance that has got a number that was free, say); is_a_directory;
// too_many_files_open.
Result<SharedDescriptor> open_shared(NativeDescriptor shared) noexcept;
// Makes an open file wait again.
void set_blocking(NativeDescriptor shared) noexcept;

}  // namespace gyre
