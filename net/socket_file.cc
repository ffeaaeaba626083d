#include <gyre/net/socket_file.h>

#include <gyre/platform/file_system.h>
#include <gyre/platform/socket.h>

namespace gyre {

namespace {

// Nul-terminated: a SocketAddress keeps the NUL behind a path.
const char* file_of(const Endpoint& where) noexcept { return where.path().data(); }

bool has_file(const Endpoint& where) noexcept {
  return where.family() == AddressFamily::local && !where.path().empty() && where.path().front() != '\0';
}

// Removes what is at `where` if it is a socket without an owner. Returns whether there is room now.
Result<bool> make_way(const Endpoint& where) {
  const Result<FileStatus> found = file_status(file_of(where));
  if (!found) return found.error() == std::errc::no_such_file_or_directory ? Result<bool>(true) : found.error();
  if (found->type != FileType::socket) return false;
  const Result<bool> stale = is_stale_local_socket(where.address());
  if (!stale) return stale.error();
  if (!*stale) return false;
  const Result<void> removed = remove_file(file_of(where));
  if (!removed && removed.error() != std::errc::no_such_file_or_directory) return removed.error();
  return true;
}

}  // namespace

Result<SocketFile> SocketFile::bind(NativeDescriptor socket, const Endpoint& where, bool replace_stale) {
  if (where.family() != AddressFamily::local) {
    return Error::system(static_cast<int>(std::errc::invalid_argument), OperationKind::bind).at(where.place());
  }
  Result<void> bound = bind_socket(socket, where.address());
  if (!bound && bound.error() == std::errc::address_in_use && has_file(where) && replace_stale) {
    const Result<bool> room = make_way(where);
    if (!room) return room.error().with(OperationKind::bind).at(where.place());
    if (*room) bound = bind_socket(socket, where.address());
  }
  if (!bound) return bound.error().at(where.place());
  SocketFile file;
  if (!has_file(where)) return file;
  const Result<FileStatus> made = file_status(file_of(where));
  if (!made) return file;  // taken away already: none of ours
  file.where_ = where;
  file.device_ = made->device;
  file.number_ = made->number;
  return file;
}

void SocketFile::remove() noexcept {
  if (!has_file(where_)) return;
  const Result<FileStatus> now = file_status(file_of(where_));
  if (now && now->device == device_ && now->number == number_) {
    static_cast<void>(remove_file(file_of(where_)));  // somebody may be faster
  }
  forget();
}

}  // namespace gyre
