// Three tasks that compute, ask a server, and compute again, on one thread. Their waits overlap with everything; their
// computing does not overlap with computing.
//
//   overlap timeline.svg           keeps the picture; without a path it goes when the program ends
#include <cstdio>
#include <string>

#include <gyre/net/file.h>
#include <gyre/reactor/run.h>
#include <gyre/task/task_group.h>

#include "local_web.h"
#include "timeline.h"

constexpr int tasks = 3;

void compute(int lane, book::Timeline* timeline) {
  const gyre::Instant begin = book::now();
  while (book::now() - begin < std::chrono::milliseconds(20)) {
  }
  timeline->parts.push_back({lane, true, begin, book::now()});
}

gyre::Task<gyre::Result<void>> work(gyre::TcpStream stream, int lane, book::Timeline* timeline) {
  compute(lane, timeline);
  const gyre::Instant begin = book::now();
  const gyre::Result<std::string> head = co_await book::get_head(stream);
  timeline->parts.push_back({lane, false, begin, book::now()});
  compute(lane, timeline);
  co_return head ? gyre::Result<void>() : head.error();
}

gyre::Task<gyre::Result<void>> run_tasks(gyre::Endpoint where, bool at_once, book::Timeline* timeline) {
  std::vector<gyre::TcpStream> streams;
  while (streams.size() < tasks) {
    gyre::Result<gyre::TcpStream> stream = co_await gyre::TcpStream::connect(where);
    if (!stream) co_return stream.error();
    streams.push_back(std::move(*stream));
  }
  timeline->begin = book::now();
  gyre::TaskGroup group;
  for (int lane = 0; lane < tasks; ++lane) {
    auto working = group.spawn(work, std::move(streams[static_cast<std::size_t>(lane)]), lane, timeline);
    if (!at_once) static_cast<void>(co_await working);
  }
  co_return co_await group.join();
}

gyre::Task<gyre::Result<void>> compare(gyre::Endpoint where, std::string path) {
  std::vector<book::Timeline> timelines = {{"one after the other"}, {"all at once"}};
  for (book::Timeline& timeline : timelines) {
    const gyre::Result<void> worked = co_await run_tasks(where, &timeline == &timelines[1], &timeline);
    if (!worked) co_return worked;
    std::printf("%-20s %.3f s\n", timeline.title, book::seconds(timeline.length()));
  }
  const gyre::Result<void> drawn = co_await gyre::write_file(path, book::draw(timelines, tasks));
  if (!drawn) co_return drawn;
  std::printf("drawn: %s\n", path.c_str());
  co_return timelines[1].waits_overlap() ? gyre::Result<void>() : gyre::Errc::broken;
}

int main(int argc, char** argv) {
  const book::TemporaryDirectory temporary;
  const std::string path = argc > 1 ? argv[1] : temporary.file("timeline.svg");
  return book::run_with_server(std::chrono::milliseconds(100), compare, path);
}
