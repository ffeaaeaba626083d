// What a socket is: what one end writes, the other reads; nothing has to be there yet when a read begins.
#include <array>
#include <cstdio>
#include <span>
#include <string_view>
#include <utility>

#include <gyre/net/unix_stream.h>
#include <gyre/reactor/run.h>
#include <gyre/task/task_group.h>

gyre::Task<gyre::Result<void>> say(gyre::UnixStream* stream, const char* who, std::string_view text) {
  std::printf("%-6s writes \"%s\"\n", who, text.data());
  co_return co_await stream->write_all(text);
}

gyre::Task<gyre::Result<void>> hear(gyre::UnixStream* stream, const char* who, std::string_view expected) {
  std::printf("%-6s waits for bytes\n", who);
  std::array<char, 64> buffer;
  const gyre::Result<std::size_t> count = co_await stream->read(std::as_writable_bytes(std::span(buffer)));
  if (!count) co_return count.error();
  const std::string_view text(buffer.data(), *count);
  std::printf("%-6s reads \"%.*s\"\n", who, static_cast<int>(text.size()), text.data());
  co_return text == expected ? gyre::Result<void>() : gyre::Errc::broken;
}

gyre::Task<gyre::Result<void>> serve(gyre::UnixStream stream) {
  const gyre::Result<void> heard = co_await hear(&stream, "server", "a request");
  if (!heard) co_return heard;
  co_return co_await say(&stream, "server", "an answer");
}

gyre::Task<gyre::Result<void>> ask(gyre::UnixStream stream) {
  const gyre::Result<void> said = co_await say(&stream, "client", "a request");
  if (!said) co_return said;
  co_return co_await hear(&stream, "client", "an answer");
}

gyre::Task<gyre::Result<void>> talk() {
  gyre::Result<std::pair<gyre::UnixStream, gyre::UnixStream>> ends = gyre::UnixStream::pair();
  if (!ends) co_return ends.error();
  gyre::TaskGroup both;
  both.spawn(serve, std::move(ends->first));
  both.spawn(ask, std::move(ends->second));
  co_return co_await both.join();
}

int main() { return gyre::exit_status(gyre::run(talk())); }
