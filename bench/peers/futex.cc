// The floor of floors: two threads that sleep on a word each, and have no loop that could wait for anything else.
#include <atomic>
#include <cstdint>
#include <thread>

#include <gyre/platform/thread.h>

#include "peer.h"

namespace {

double wake(long count) {
  std::atomic<std::uint32_t> turn{0};  // even: ours
  const auto play = [&turn, count](std::uint32_t mine) {
    for (long i = 0; i < count; ++i, mine += 2) {
      for (std::uint32_t now = turn; now != mine; now = turn) gyre::sleep_on(turn, now);
      turn = mine + 1;
      gyre::wake_threads(turn);
    }
  };
  std::thread other([&play] { play(1); });
  const peer::Stopwatch watch;
  play(0);
  other.join();
  return watch.ns();
}

}  // namespace

int main(int argc, char** argv) { return peer::main(argc, argv, "bare futex", {{"wake", wake}}); }
