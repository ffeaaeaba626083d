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
    {EREMOTE, "object is remote"},
    {EUSERS, "too many users"},
    {ESOCKTNOSUPPORT, "socket type not supported"},
    {EPFNOSUPPORT, "protocol family not supported"},
    {ESHUTDOWN, "cannot send after shutdown"},
    {ETOOMANYREFS, "too many references"},
    {EHOSTDOWN, "host is down"},
    {ESTALE, "stale file handle"},
    {EDQUOT, "disk quota exceeded"},
    {EPROCLIM, "too many processes"},
    {EFTYPE, "inappropriate file type or format"},
    {EAUTH, "authentication failed"},
    {ENEEDAUTH, "authentication needed"},
    {ENOATTR, "attribute not found"},
    {EDOOFUS, "called wrongly"},
    {ENOTCAPABLE, "capabilities do not suffice"},
    {ECAPMODE, "not permitted in capability mode"},
    {EINTEGRITY, "integrity check failed"},
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
    {EAI_BADHINTS, "bad hints for name resolution"},
    {EAI_PROTOCOL, "protocol not known to name resolution"},
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
