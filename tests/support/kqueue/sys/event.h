// <sys/event.h> for a system that has none: the interface of tests/support/kqueue/kqueue_double_linux.cc, by the names and with
// the numbers of macOS.
#pragma once

#include <time.h>

#include <cstdint>

struct kevent {
  std::uintptr_t ident;
  std::int16_t filter;
  std::uint16_t flags;
  std::uint32_t fflags;
  std::intptr_t data;
  void* udata;
};

inline constexpr int EVFILT_READ = -1;
inline constexpr int EVFILT_WRITE = -2;
inline constexpr int EVFILT_PROC = -5;
inline constexpr int EVFILT_USER = -10;

inline constexpr unsigned EV_ADD = 0x0001;
inline constexpr unsigned EV_DELETE = 0x0002;
inline constexpr unsigned EV_ENABLE = 0x0004;
inline constexpr unsigned EV_DISABLE = 0x0008;
inline constexpr unsigned EV_ONESHOT = 0x0010;
inline constexpr unsigned EV_CLEAR = 0x0020;
inline constexpr unsigned EV_RECEIPT = 0x0040;
inline constexpr unsigned EV_ERROR = 0x4000;
inline constexpr unsigned EV_EOF = 0x8000;

inline constexpr unsigned NOTE_EXIT = 0x80000000;
inline constexpr unsigned NOTE_TRIGGER = 0x01000000;

extern "C" {
int kqueue();
int kevent(int queue, const struct kevent* changes, int changes_count, struct kevent* events, int events_max,
           const timespec* timeout);
}
