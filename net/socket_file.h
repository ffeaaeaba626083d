// SocketFile: the file of a bound local socket, which is removed when this object goes, if it is still that socket's.
#pragma once

#include <cstdint>
#include <utility>

#include <gyre/net/endpoint.h>
#include <gyre/platform/result.h>
#include <gyre/platform/unique_fd.h>

namespace gyre {

class SocketFile {
 public:
  // None.
  SocketFile() noexcept = default;
  SocketFile(SocketFile&& other) noexcept { swap(other); }
  SocketFile& operator=(SocketFile&& other) noexcept {
    SocketFile taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~SocketFile() { remove(); }

  // Binds `socket` to a path or an abstract name. A path where a file is: if `replace_stale`, and it is a socket that
  // nobody owns, it makes way; anything else stays, and the error is address_in_use. Whether somebody owns it is found
  // out by connecting; two programs that start at the same moment may still take the path from each other.
  // Errors name the endpoint.
  static Result<SocketFile> bind(NativeDescriptor socket, const Endpoint& where, bool replace_stale);

  // Best done while the socket is open: no other can then have the same number.
  void remove() noexcept;
  // The file stays.
  void forget() noexcept { where_ = Endpoint(); }

 private:
  void swap(SocketFile& other) noexcept {
    std::swap(where_, other.where_);
    std::swap(device_, other.device_);
    std::swap(number_, other.number_);
  }

  Endpoint where_;
  std::uint64_t device_ = 0;
  std::uint64_t number_ = 0;
};

}  // namespace gyre
