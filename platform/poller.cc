// Which pollers this build has, and which one is opened.
#include <gyre/platform/poller.h>

#include <cstdlib>
#include <iterator>
#include <system_error>
#include <utility>

#include <gyre/platform/poller_backends.h>

namespace gyre {

// Not in the header: compilers guess that the one implementation they see is meant.
std::int64_t Poller::send_now(Descriptor&, const void*, std::size_t) noexcept { return would_block; }
std::int64_t Poller::settle_send(Descriptor&, const void*, std::size_t, std::int64_t answer) noexcept { return answer; }

namespace {

struct Backend {
  std::string_view name;
  Result<std::unique_ptr<Poller>> (*make)(const PollerOptions& options);
};

// The default first, then what to fall back to.
constexpr Backend backends[] = {
#if defined(__linux__)
    {"epoll", make_epoll_poller},
    {"io_uring", make_io_uring_poller},
#elif defined(__APPLE__) || defined(__FreeBSD__) || defined(__NetBSD__) || defined(__OpenBSD__) || defined(__DragonFly__)
    {"kqueue", make_kqueue_poller},
#elif defined(_WIN32)
    {"iocp", make_iocp_poller},
#else
#error "platform/poller.cc knows no poller for this system"
#endif
};

constexpr std::size_t backends_count = std::size(backends);

// The names, and an empty one.
struct Names {
  std::string_view all[backends_count + 1];
};
constexpr Names names = [] {
  Names made;
  for (std::size_t i = 0; i < backends_count; ++i) made.all[i] = backends[i].name;
  return made;
}();

// Why the default is not the one, as a literal.
std::string_view reason_of(const Error& error) noexcept {
  if (error == std::errc::operation_not_permitted) return "the default is denied (EPERM)";
  if (error == std::errc::permission_denied) return "the default is denied (EACCES)";
  if (error == std::errc::function_not_supported) return "the default is missing (ENOSYS)";
  if (error == std::errc::invalid_argument) return "the default is too old (EINVAL)";
  return "the default could not be opened";
}

}  // namespace

Result<std::unique_ptr<Poller>> open_poller(std::string_view name, const PollerOptions& options) {
  for (const Backend& backend : backends) {
    if (backend.name == name) return backend.make(options);
  }
  return Error::system(static_cast<std::int32_t>(std::errc::invalid_argument), OperationKind::setup);
}

Result<PollerChoice> open_poller(const PollerOptions& options) {
  const char* const wanted = std::getenv("GYRE_POLLER");
  if (wanted != nullptr && wanted[0] != '\0') {
    Result<std::unique_ptr<Poller>> poller = open_poller(std::string_view(wanted), options);
    if (!poller) return poller.error();
    return PollerChoice{std::move(*poller), "GYRE_POLLER"};
  }
  std::string_view reason = "default";
  Error last;
  for (const Backend& backend : backends) {
    Result<std::unique_ptr<Poller>> poller = backend.make(options);
    if (poller) return PollerChoice{std::move(*poller), reason};
    last = poller.error();
    reason = reason_of(last);
  }
  return last;
}

const std::string_view* poller_names() noexcept { return names.all; }

}  // namespace gyre
