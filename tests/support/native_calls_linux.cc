#include "native_calls.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/timerfd.h>
#include <unistd.h>

int gyre::test::open_event(unsigned value) { return ::eventfd(value, 0); }

int gyre::test::open_timer(std::int64_t nanoseconds) {
  const int timer = ::timerfd_create(CLOCK_MONOTONIC, 0);
  itimerspec when = {};
  when.it_value.tv_sec = nanoseconds / 1'000'000'000;
  when.it_value.tv_nsec = nanoseconds % 1'000'000'000;
  if (timer < 0 || ::timerfd_settime(timer, 0, &when, nullptr) == 0) return timer;
  ::close(timer);
  return -1;
}

void gyre::test::fix_addresses() { ::personality(ADDR_NO_RANDOMIZE); }

int gyre::test::open_memory() { return ::memfd_create("test", 0); }
