#include "native_calls.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/event.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <string>

namespace {

// A new name in the folder for temporary files; who makes the file takes the name away.
std::string new_name() {
  char folder[] = "/tmp/gyre-XXXXXX";
  if (::mkdtemp(folder) == nullptr) return {};
  return std::string(folder) + "/x";
}

void forget(const std::string& name) {
  ::unlink(name.c_str());
  ::rmdir(name.substr(0, name.rfind('/')).c_str());
}

}  // namespace

// A named pipe that is open for both sides. Not quite an eventfd: what is written twice is read twice.
int gyre::test::open_event(unsigned value) {
  const std::string name = new_name();
  if (name.empty() || ::mkfifo(name.c_str(), 0600) < 0) return -1;
  const int fd = ::open(name.c_str(), O_RDWR);
  forget(name);
  const std::uint64_t number = value;
  if (fd >= 0 && value != 0 && ::write(fd, &number, sizeof number) < 0) return -1;
  return fd;
}

// A queue with nothing in it but the timer.
int gyre::test::open_timer(std::int64_t nanoseconds) {
  const int queue = ::kqueue();
  struct ::kevent timer = {};
  timer.filter = EVFILT_TIMER;
  timer.flags = EV_ADD | EV_ONESHOT;
  timer.fflags = NOTE_NSECONDS;
  timer.data = nanoseconds;
  if (queue < 0 || ::kevent(queue, &timer, 1, nullptr, 0, nullptr) == 0) return queue;
  ::close(queue);
  return -1;
}

int gyre::test::open_memory() {
  const std::string name = new_name();
  const int fd = ::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  forget(name);
  return fd;
}

void gyre::test::fix_addresses() {}
