// Descriptors that a service manager has opened for this process: LISTEN_FDS and LISTEN_PID.
//
// Threads: call it before there are others: it changes the environment.
#pragma once

#include <vector>

#include <gyre/platform/result.h>
#include <gyre/platform/unique_fd.h>

namespace gyre {

// Takes the LISTEN_FDS descriptors that begin at `first` if LISTEN_PID is this process, and clears
// LISTEN_* so that neither a second call nor a child takes them again. None if there are none, or
// if they are another process's. They come out close-on-exec. Errors: invalid_argument for numbers
// that are none; bad_file_descriptor if fewer are open than promised; not_a_socket for anything
// else (a FIFO, say); too_many_files_open. None is taken after the first three.
Result<std::vector<UniqueFd>> take_inherited_descriptors(NativeDescriptor first = 3);

}  // namespace gyre
