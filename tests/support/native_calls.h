// What each system does in its own way. Descriptors are -1, with errno, if it cannot.
#pragma once

#include <cstdint>

namespace gyre::test {

// Holds a counter: readable unless it is 0, read and written as 8 bytes, writing adds to it.
int open_event(unsigned value);
// Readable once that many nanoseconds have passed.
int open_timer(std::int64_t nanoseconds);
// A regular file without a name.
int open_memory();

// From now on programs that this process becomes have the same addresses each time; not on macOS.
void fix_addresses();

}  // namespace gyre::test
