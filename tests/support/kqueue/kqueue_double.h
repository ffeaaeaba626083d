// What a test can ask of the double of kqueue.
#pragma once

namespace gyre::test {

// The next `count` registrations with this filter, in any queue, are refused with this errno.
void refuse_registrations(int filter, int error, int count);

}  // namespace gyre::test
