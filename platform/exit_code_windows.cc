#include <gyre/platform/exit_code_windows.h>

namespace gyre::sys {
namespace {

struct Entry {
  std::uint32_t exit_code;
  int signal;
};
// The first of a signal is the one that is made.
constexpr Entry entries[] = {
    {0xc000013a, 2},   // STATUS_CONTROL_C_EXIT: SIGINT
    {0xc000001d, 4},   // STATUS_ILLEGAL_INSTRUCTION: SIGILL
    {0xc0000096, 4},   // STATUS_PRIVILEGED_INSTRUCTION
    {0xc0000409, 6},   // STATUS_STACK_BUFFER_OVERRUN, by which __fastfail() ends: SIGABRT
    {0x40000015, 6},   // STATUS_FATAL_APP_EXIT
    {0xc0000094, 8},   // STATUS_INTEGER_DIVIDE_BY_ZERO: SIGFPE
    {0xc000008e, 8},   // STATUS_FLOAT_DIVIDE_BY_ZERO
    {0xc0000005, 11},  // STATUS_ACCESS_VIOLATION: SIGSEGV
    {0xc00000fd, 11},  // STATUS_STACK_OVERFLOW
};
// An error (the two upper bits) of a customer's (the next): "Gy" and the number.
constexpr std::uint32_t own = 0xe0477900;

}  // namespace

std::uint32_t exit_code_of_signal(int signal) noexcept {
  for (const Entry& entry : entries) {
    if (entry.signal == signal) return entry.exit_code;
  }
  return own | static_cast<std::uint8_t>(signal);
}

ExitStatus exit_status_of(std::uint32_t exit_code) noexcept {
  for (const Entry& entry : entries) {
    if (entry.exit_code == exit_code) return {.code = 0, .signal = entry.signal};
  }
  if ((exit_code & 0xffffff00) == own && exit_code != own) return {.code = 0, .signal = static_cast<int>(exit_code & 0xff)};
  return {.code = static_cast<int>(exit_code), .signal = 0};
}

}  // namespace gyre::sys
