// What waits and what computes: a request and a file wait for devices, the text between them needs the processor.
//
//   fetch_headers headers.txt      keeps the file; without a path it goes when the program ends
#include <cstdio>
#include <string>

#include <gyre/net/file.h>
#include <gyre/reactor/run.h>

#include "local_web.h"
#include "measure.h"

// One header a line, "Name: value"; the status line is none.
std::string format_headers(const std::string& head) {
  std::string lines;
  for (std::size_t at = head.find("\r\n"); at != head.npos;) {
    const std::size_t end = head.find("\r\n", at + 2);
    lines += head.substr(at + 2, end == head.npos ? end : end - at - 2) + "\n";
    at = end;
  }
  return lines;
}

void tell(const char* part, const char* kind, gyre::Instant begin) {
  std::printf("%-20s %-10s %8.3f ms\n", part, kind, book::seconds_since(begin) * 1e3);
}

gyre::Task<gyre::Result<void>> fetch_to_file(gyre::Endpoint where, std::string path) {
  gyre::Instant begin = book::now();
  gyre::Result<gyre::TcpStream> stream = co_await gyre::TcpStream::connect(where);
  if (!stream) co_return stream.error();
  const gyre::Result<std::string> head = co_await book::get_head(*stream);
  if (!head) co_return head.error();
  tell("get the page", "waits", begin);

  begin = book::now();
  const std::string lines = format_headers(*head);
  tell("format the headers", "computes", begin);

  begin = book::now();
  const gyre::Result<void> written = co_await gyre::write_file(path, lines);
  if (!written) co_return written;
  tell("write the file", "waits", begin);

  const gyre::Result<std::string> kept = co_await gyre::read_file(path);
  if (!kept) co_return kept.error();
  std::printf("\n%s", kept->c_str());
  const bool is_right = *kept == "Server: gyre\nContent-Type: text/plain\nContent-Length: 7\nConnection: close\n";
  co_return is_right ? gyre::Result<void>() : gyre::Errc::broken;
}

int main(int argc, char** argv) {
  const book::TemporaryDirectory temporary;
  const std::string path = argc > 1 ? argv[1] : temporary.file("headers.txt");
  return book::run_with_server(std::chrono::milliseconds(20), fetch_to_file, path);
}
