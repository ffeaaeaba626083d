// Memory of idle connections: `idle PORT PID FEW MANY [HEAP]`. Opens FEW connections to an echo server, then MANY in all;
// each makes one round trip of 64 bytes, and rests. Prints what the server's process holds at either time, in bytes.
//
// HEAP is the file to which a server that was started with heap_report.so writes how much it has from malloc.
#include <csignal>
#include <cstring>
#include <fstream>

#include "load.h"

namespace {

void echo_once(int fd) {
  char request[64];
  char answer[sizeof(request)];
  std::memset(request, 'g', sizeof(request));
  if (::send(fd, request, sizeof(request), MSG_NOSIGNAL) != sizeof(request)) load::fail("send");
  if (::recv(fd, answer, sizeof(answer), MSG_WAITALL) != sizeof(answer)) load::fail("recv");
  if (std::memcmp(request, answer, sizeof(answer)) != 0) load::fail("an answer is not its request");
}

void pause_ms(int milliseconds) {
  const timespec pause = {.tv_sec = 0, .tv_nsec = milliseconds * 1'000'000L};
  ::nanosleep(&pause, nullptr);
}

// Resident memory that is the process's own: without the pages of shared files.
long long resident(int pid) {
  std::ifstream rollup("/proc/" + std::to_string(pid) + "/smaps_rollup");
  long long sum = 0;
  for (std::string line; std::getline(rollup, line);) {
    if (line.starts_with("Private_")) sum += std::atoll(line.c_str() + line.find(':') + 1) * 1024;
  }
  if (sum == 0) load::fail("the server has gone");
  return sum;
}

// -1: not known.
long long heap(int pid, const char* file) {
  if (file == nullptr) return -1;
  ::unlink(file);
  ::kill(pid, SIGUSR2);
  for (int i = 0; i < 100; ++i, pause_ms(10)) {
    long long bytes = -1;
    if (std::ifstream report(file); report >> bytes) return bytes;
  }
  return -1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: idle PORT PID FEW MANY [HEAP]\n");
    return 2;
  }
  load::raise_descriptor_limit();
  const int pid = std::atoi(argv[2]);
  const int steps[] = {std::atoi(argv[3]), std::atoi(argv[4])};
  long long held[2] = {};
  long long allocated[2] = {};
  int open = 0;
  for (int i = 0; i < 2; ++i) {
    for (; open < steps[i]; ++open) echo_once(load::connect_to(std::atoi(argv[1])));
    pause_ms(50);  // until the server rests as well
    allocated[i] = heap(pid, argc > 5 ? argv[5] : nullptr);
    held[i] = resident(pid);
  }
  std::printf("{\"connections\": [%d, %d], \"resident\": [%lld, %lld]", steps[0], steps[1], held[0], held[1]);
  if (allocated[0] >= 0 && allocated[1] >= 0) std::printf(", \"heap\": [%lld, %lld]", allocated[0], allocated[1]);
  std::printf("}\n");
}
