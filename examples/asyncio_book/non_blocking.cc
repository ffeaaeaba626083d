// A request that does not block: it is on its way at once, other code runs meanwhile, and the system tells when the answer
// is there.
//
//   non_blocking timeline.svg      keeps the picture; without a path it goes when the program ends
#include <cstdio>
#include <string>

#include <gyre/net/file.h>
#include <gyre/reactor/run.h>
#include <gyre/task/task_group.h>

#include "local_web.h"
#include "timeline.h"

gyre::Task<gyre::Result<void>> make_request(gyre::TcpStream stream, book::Timeline* timeline) {
  const gyre::Instant begin = book::now();
  const gyre::Result<std::string> head = co_await book::get_head(stream);
  timeline->parts.push_back({0, false, begin, book::now()});
  co_return head ? gyre::Result<void>() : head.error();
}

void execute_other_code(book::Timeline* timeline) {
  const gyre::Instant begin = book::now();
  while (book::now() - begin < std::chrono::milliseconds(40)) {
  }
  timeline->parts.push_back({1, true, begin, book::now()});
}

void tell(const char* what, const book::Timeline& timeline) {
  std::printf("%-36s after %7.3f ms\n", what, book::seconds_since(timeline.begin) * 1e3);
}

gyre::Task<gyre::Result<void>> visit(gyre::Endpoint where, std::string path) {
  gyre::Result<gyre::TcpStream> stream = co_await gyre::TcpStream::connect(where);
  if (!stream) co_return stream.error();
  std::vector<book::Timeline> timelines = {{"a request, and other code"}};
  book::Timeline& timeline = timelines[0];
  gyre::TaskGroup group;
  // Eager: runs at once, up to where it would have to wait.
  group.spawn({.start = gyre::Start::eager}, make_request, std::move(*stream), &timeline);
  tell("the request is made, and returns", timeline);
  execute_other_code(&timeline);
  tell("other code has run", timeline);
  const gyre::Result<void> answered = co_await group.join();
  if (!answered) co_return answered;
  tell("the answer is there", timeline);
  const gyre::Result<void> drawn = co_await gyre::write_file(path, book::draw(timelines, 2));
  if (!drawn) co_return drawn;
  std::printf("drawn: %s\n", path.c_str());
  const auto& [other, request] = std::tie(timeline.parts[0], timeline.parts[1]);
  const bool is_right = other.computes && request.begin <= other.begin && other.end <= request.end;
  co_return is_right ? gyre::Result<void>() : gyre::Errc::broken;
}

int main(int argc, char** argv) {
  const book::TemporaryDirectory temporary;
  const std::string path = argc > 1 ? argv[1] : temporary.file("timeline.svg");
  return book::run_with_server(std::chrono::milliseconds(100), visit, path);
}
