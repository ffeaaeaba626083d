// Two tasks that only compute, in three ways: one thread, where each gives way when it likes; two threads on one
// processor, where the system takes it from them; two threads on two processors, at the same time. Draws who ran when.
//
//   multitasking timeline.svg      keeps the picture; without a path it goes when the program ends
#include <gyre/net/file.h>
#include <gyre/reactor/offload.h>
#include <gyre/reactor/run.h>
#include <gyre/task/cpu_pool.h>
#include <gyre/task/sleep.h>
#include <gyre/task/when_all.h>

#include "timeline.h"

using Parts = std::vector<book::Part>;

// Computes for so long, not counting when others had the processor: each stretch without them is a part.
Parts compute(int lane, gyre::Duration left) {
  Parts parts;
  gyre::Instant begin = book::now(), last = begin;
  while (left > gyre::Duration::zero()) {
    const gyre::Instant now = book::now();
    const bool was_away = now - last > std::chrono::microseconds(300);
    if (was_away) parts.push_back({lane, true, begin, last});
    if (was_away) begin = now;
    if (!was_away) left -= now - last;
    last = now;
  }
  parts.push_back({lane, true, begin, last});
  return parts;
}

void keep(book::Timeline* timeline, const Parts& parts) { timeline->parts.insert(timeline->parts.end(), parts.begin(), parts.end()); }

gyre::Task<gyre::Result<void>> give_way(int lane, book::Timeline* timeline) {
  for (int i = 0; i < 5; ++i) {
    keep(timeline, compute(lane, std::chrono::milliseconds(8)));
    const gyre::Result<void> yielded = co_await gyre::yield();
    if (!yielded) co_return yielded;
  }
  co_return gyre::Result<void>{};
}

// Two pools of one thread have both of them on the first processor; one pool of two has one each on two.
gyre::Task<gyre::Result<void>> on_threads(gyre::CpuPool* one, gyre::CpuPool* other, book::Timeline* timeline) {
  const gyre::Duration amount = std::chrono::milliseconds(40);
  const auto both = co_await gyre::when_all(gyre::offload(*one, compute, 0, amount), gyre::offload(*other, compute, 1, amount));
  if (!both) co_return both.error();
  keep(timeline, std::get<0>(*both));
  keep(timeline, std::get<1>(*both));
  co_return gyre::Result<void>{};
}

gyre::Task<gyre::Result<void>> compare(std::string path) {
  gyre::CpuPool first({.threads = 1, .pin_threads = true}), second({.threads = 1, .pin_threads = true});
  gyre::CpuPool two({.threads = 2, .pin_threads = true});
  std::vector<book::Timeline> all;
  all.push_back({"one thread, tasks that give way"});
  const auto cooperative = co_await gyre::when_all(give_way(0, &all[0]), give_way(1, &all[0]));
  if (!cooperative) co_return cooperative.error();
  all.push_back({"two threads on one processor"});
  const gyre::Result<void> preempted = co_await on_threads(&first, &second, &all[1]);
  if (!preempted) co_return preempted;
  all.push_back({"two threads on two processors"});
  const gyre::Result<void> parallel = co_await on_threads(&two, &two, &all[2]);
  if (!parallel) co_return parallel;
  for (const book::Timeline& timeline : all) {
    std::printf("%-32s %3.0f ms, both at once for %2.0f ms\n", timeline.title, book::seconds(timeline.length()) * 1e3,
                book::seconds(timeline.together()) * 1e3);
  }
  const gyre::Result<void> drawn = co_await gyre::write_file(path, book::draw(all, 2));
  if (!drawn) co_return drawn;
  std::printf("drawn: %s\n", path.c_str());
  const bool is_right = all[0].together() == gyre::Duration::zero() && all[0].parts.size() >= 10;
  co_return is_right ? gyre::Result<void>() : gyre::Errc::broken;
}

int main(int argc, char** argv) {
  const book::TemporaryDirectory temporary;
  return gyre::exit_status(gyre::run(compare(argc > 1 ? argv[1] : temporary.file("timeline.svg"))));
}
