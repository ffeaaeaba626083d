#include <gyre/platform/error_text.h>

#include <netdb.h>

#include <cerrno>
#include <span>

namespace gyre::detail {
namespace {

struct Text {
  std::int32_t code;
  std::string_view text;
};

// Only what system calls return for sockets, files and processes; the rest prints as its number.
constexpr Text system_texts[] = {
    {ENOTBLK, "block device required"},
    {ECHRNG, "channel number out of range"},
    {ENONET, "machine is not on the network"},
    {EREMOTE, "object is remote"},
    {ECOMM, "communication error on send"},
    {EOVERFLOW, "value too large"},
    {ENOTUNIQ, "name not unique on network"},
    {EBADFD, "file descriptor in bad state"},
    {EREMCHG, "remote address changed"},
    {EUSERS, "too many users"},
    {ESOCKTNOSUPPORT, "socket type not supported"},
    {EPFNOSUPPORT, "protocol family not supported"},
    {ESHUTDOWN, "cannot send after shutdown"},
    {ETOOMANYREFS, "too many references"},
    {EHOSTDOWN, "host is down"},
    {ESTALE, "stale file handle"},
    {EREMOTEIO, "remote input/output error"},
    {EDQUOT, "disk quota exceeded"},
    {ENOMEDIUM, "no medium found"},
    {EMEDIUMTYPE, "wrong medium type"},
    {ENOKEY, "required key not available"},
    {EKEYEXPIRED, "key has expired"},
    {EKEYREVOKED, "key has been revoked"},
    {EKEYREJECTED, "key was rejected"},
    {ERFKILL, "radio is switched off"},
    {EHWPOISON, "memory page has a hardware error"},
};

constexpr Text resolver_texts[] = {
    {EAI_AGAIN, "temporary failure in name resolution"},
    {EAI_BADFLAGS, "bad flags for name resolution"},
    {EAI_FAIL, "permanent failure in name resolution"},
    {EAI_FAMILY, "address family not supported"},
    {EAI_MEMORY, "not enough memory for name resolution"},
    {EAI_NONAME, "host or service not found"},
    {EAI_OVERFLOW, "name too long"},
    {EAI_SERVICE, "service not supported for this socket type"},
    {EAI_SOCKTYPE, "socket type not supported"},
    {EAI_SYSTEM, "system error in name resolution"},
    {EAI_NODATA, "host has no address"},
    {EAI_ADDRFAMILY, "host has no address of this family"},
    {EAI_CANCELED, "name resolution cancelled"},
};

std::string_view find(std::span<const Text> texts, std::int32_t code) noexcept {
  for (const Text& entry : texts) {
    if (entry.code == code) return entry.text;
  }
  return {};
}

}  // namespace

std::string_view extra_system_text(std::int32_t code) noexcept { return find(system_texts, code); }

std::string_view resolver_text(std::int32_t code) noexcept { return find(resolver_texts, code); }

}  // namespace gyre::detail
