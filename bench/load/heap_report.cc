// To be preloaded into a server: on SIGUSR2 it writes how many bytes the program has from malloc into the file that
// HEAP_REPORT names. Only for a server that rests: a signal must not arrive inside malloc.
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace {

void report(int) {
  const int error = errno;
  const struct mallinfo2 all = ::mallinfo2();
  char text[32];
  const int size = std::snprintf(text, sizeof(text), "%zu\n", all.uordblks + all.hblkhd);
  const int fd = ::open(std::getenv("HEAP_REPORT"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (::write(fd, text, static_cast<std::size_t>(size)) != size) ::_exit(1);
  ::close(fd);
  errno = error;
}

[[gnu::constructor]] void listen_for_signal() {
  struct sigaction action = {};
  action.sa_handler = report;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGUSR2, &action, nullptr);
}

}  // namespace
