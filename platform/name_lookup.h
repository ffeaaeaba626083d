// Host names, by the system's own resolver. Blocks, for seconds if a name server does not answer.
//
// Threads: any.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <gyre/platform/operation.h>
#include <gyre/platform/result.h>
#include <gyre/platform/socket.h>

namespace gyre {

// getaddrinfo for a stream socket: the addresses of `host` with port 0, in the system's order of
// preference; none: any family. Errors: those of the resolver's domain; not_enough_memory and the
// like.
Result<std::vector<SocketAddress>> look_up_name(const std::string& host, AddressFamily family);
// The same for an address in a form that only the system knows ("fe80::1%eth0"); asks nobody, and
// so does not block.
Result<std::vector<SocketAddress>> look_up_number(const std::string& host, AddressFamily family);

// Where this system keeps names that it need not ask for.
const char* hosts_file() noexcept;

// The whole of a small regular file. Errors: no_such_file_or_directory and the like;
// file_too_large.
Result<std::string> read_small_file(const char* path, std::size_t size_max);

}  // namespace gyre
