// What tests of streams share: operations in child tasks that tell what they came to, and more bytes than buffers hold.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include <gyre/net/stream.h>
#include <gyre/task/task.h>

#include "net_fixture.h"
#include "net_task_fixture.h"
#include "net_tasks.h"

namespace gyre::test {

// What an operation came to, told by a child task.
template <typename T>
struct Told {
  std::optional<Result<T>> result;
  bool is_there() const { return result.has_value(); }
  bool is(std::errc code) const { return is_there() && !*result && result->error() == code; }
  bool is(Errc code) const { return is_there() && !*result && result->error() == code; }
};

inline Task<void> read_into(Stream& stream, std::span<std::byte> buffer, Told<std::size_t>& told) {
  Result<std::size_t> count = co_await stream.read(buffer);
  told.result = count;
}

inline Task<void> write_all_from(Stream& stream, std::span<const std::byte> bytes, std::size_t* written, Told<void>& told) {
  Result<void> done = co_await stream.write_all(bytes, written);
  told.result = done;
}

// More than the buffers of both sides hold.
inline const std::string& much_text() {
  static const std::string text = pattern(32 << 20);
  return text;
}

class StreamTest : public NetTaskFixture {
 protected:
  static void SetUpTestSuite() { static_cast<void>(much_text()); }
};

}  // namespace gyre::test
