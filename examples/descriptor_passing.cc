// A local socket that hands out an open file to each client, which may then read what it could not open itself.
//   descriptor_passing /tmp/files.sock /etc/hosts        serves; without a file: asks, and prints what it was given
//   descriptor_passing                                   does both at once, and ends
#include <array>
#include <cstdio>
#include <string>

#include <gyre/gyre.h>

gyre::Task<gyre::Result<std::size_t>> give(gyre::UnixStream client, const gyre::File* file) {
  const std::array<gyre::NativeDescriptor, 1> descriptors = {file->native()};
  co_return co_await client.write_with(std::as_bytes(std::span("x", 1)), descriptors);
}

gyre::Task<gyre::Result<void>> serve(gyre::UnixListener* listener, const gyre::File* file, int connections) {
  gyre::TaskGroup clients(gyre::OnFailure::keep_going);
  gyre::Result<void> ended;
  while (ended && connections-- != 0) {
    gyre::Result<gyre::UnixStream> client = co_await listener->accept();
    if (client) clients.spawn(give, std::move(*client), file);
    if (!client) ended = client.error();  // Ctrl-C, say
  }
  const gyre::Result<void> joined = co_await clients.join();
  co_return ended ? joined : ended;
}

gyre::Task<gyre::Result<void>> ask(gyre::Endpoint where) {
  gyre::Result<gyre::UnixStream> stream = co_await gyre::UnixStream::connect(where);
  if (!stream) co_return stream.error();
  std::array<std::byte, 1> byte;
  std::array<gyre::UniqueFd, 1> descriptors;
  const gyre::Result<gyre::BytesAndDescriptors> came = co_await stream->read_with(byte, descriptors);
  if (!came || came->descriptors != 1) co_return came ? gyre::Error(gyre::Errc::malformed) : came.error();
  gyre::Result<gyre::File> file = gyre::File::adopt(std::move(descriptors[0]));
  gyre::Result<gyre::SharedStream> output = gyre::standard_output();
  if (!file || !output) co_return file ? output.error() : file.error();
  const gyre::Result<std::uint64_t> copied = co_await gyre::copy(*file, *output);
  co_return copied ? gyre::Result<void>() : copied.error();
}

gyre::Task<gyre::Result<void>> start(std::string socket, std::string path, bool once) {
  const gyre::Result<gyre::Endpoint> where = gyre::Endpoint::parse("unix:" + socket);
  if (!where) co_return where.error();
  if (path.empty()) co_return co_await ask(*where);
  const gyre::Result<gyre::File> file = co_await gyre::File::open(path);
  if (!file) co_return file.error();
  gyre::Result<gyre::UnixListener> listener = co_await gyre::UnixListener::bind(*where);
  if (!listener) co_return listener.error();
  std::fprintf(stderr, "listening on %s\n", where->to_string().c_str());
  gyre::TaskGroup group;
  group.spawn(serve, &*listener, &*file, once ? 1 : -1);
  if (once) group.spawn(ask, *where);
  co_return co_await group.join();
}

int main(int argc, char** argv) {
  const std::string own = "@gyre-example-" + std::to_string(gyre::steady_clock().now().nanoseconds());
  if (argc < 2) return gyre::exit_status(gyre::run(start(own, "/etc/hosts", true)));
  return gyre::exit_status(gyre::run(start(argv[1], argc > 2 ? argv[2] : "", false)));
}
