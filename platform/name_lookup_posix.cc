#include <gyre/platform/name_lookup.h>

#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include <gyre/platform/syscalls_posix.h>

namespace gyre {

namespace {

struct FreeAnswers {
  void operator()(addrinfo* answers) const noexcept { ::freeaddrinfo(answers); }
};

int native_family(AddressFamily family) noexcept {
  switch (family) {
    case AddressFamily::ipv4:
      return AF_INET;
    case AddressFamily::ipv6:
      return AF_INET6;
    default:
      return AF_UNSPEC;
  }
}

Result<std::vector<SocketAddress>> ask(const std::string& host, AddressFamily family, int flags) {
  addrinfo hints = {};
  hints.ai_family = native_family(family);
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* raw = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), nullptr, &hints, &raw);
  // Read before anything else can change it.
  const int system_error = errno;
  const std::unique_ptr<addrinfo, FreeAnswers> answers(raw);
  if (failed == EAI_SYSTEM) return Error::system(system_error, OperationKind::resolve);
  if (failed != 0) return Error(Domain::resolver, failed, OperationKind::resolve);

  std::vector<SocketAddress> found;
  for (const addrinfo* answer = answers.get(); answer != nullptr; answer = answer->ai_next) {
    SocketAddress address;
    if (answer->ai_addrlen > sizeof(address.bytes)) continue;
    if (answer->ai_family != AF_INET && answer->ai_family != AF_INET6) continue;
    std::memcpy(address.bytes, answer->ai_addr, answer->ai_addrlen);
    address.size = answer->ai_addrlen;
    found.push_back(address);
  }
  if (found.empty()) return Error(Domain::resolver, EAI_NONAME, OperationKind::resolve);
  return found;
}

}  // namespace

Result<std::vector<SocketAddress>> look_up_name(const std::string& host, AddressFamily family) {
  return ask(host, family, 0);
}

Result<std::vector<SocketAddress>> look_up_number(const std::string& host, AddressFamily family) {
  return ask(host, family, AI_NUMERICHOST);
}

const char* hosts_file() noexcept { return "/etc/hosts"; }

Result<std::string> read_small_file(const char* path, std::size_t size_max) {
  const std::int64_t opened = sys::openat(AT_FDCWD, path, O_RDONLY, 0);
  if (opened < 0)
    return Error::system(static_cast<std::int32_t>(-opened), OperationKind::open_file);
  const UniqueFd file(static_cast<NativeDescriptor>(opened));
  std::string text(size_max + 1, '\0');
  std::size_t filled = 0;
  while (filled < text.size()) {
    const std::int64_t count = sys::read(file.get(), text.data() + filled, text.size() - filled);
    if (count < 0) return Error::system(static_cast<std::int32_t>(-count), OperationKind::read);
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  if (filled > size_max) return Error::system(EFBIG, OperationKind::read);
  text.resize(filled);
  return text;
}

}  // namespace gyre
