#include <gyre/net/stdio.h>

namespace gyre {

namespace {

Result<SharedStream> open_named(NativeDescriptor number, std::string_view name) {
  Result<SharedStream> stream = SharedStream::open(number);
  if (!stream) return stream.error().at(Place::text(name));
  return stream;
}

}  // namespace

Result<SharedStream> SharedStream::open(NativeDescriptor shared) {
  Result<SharedDescriptor> opened = open_shared(shared);
  if (!opened) return opened.error();
  SharedStream stream;
  const Result<void> attached = stream.attach(std::move(opened->fd), opened->kind);
  // Attaching may have changed the mode before it failed.
  if (opened->shares_mode) stream.restored_ = shared;
  if (!attached) return attached.error();
  return stream;
}

Result<SharedStream> standard_input() { return open_named(0, "standard input"); }
Result<SharedStream> standard_output() { return open_named(1, "standard output"); }
Result<SharedStream> standard_error() { return open_named(2, "standard error"); }

}  // namespace gyre
