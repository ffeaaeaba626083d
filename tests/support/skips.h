// What a system cannot do, each with the reason: one list for each system (backends_*.cc).
#pragma once

#include <string>

namespace gyre::test {

// Why the running test is to be skipped; empty: it is not.
std::string reason_to_skip();

// Whether the system still knows the peer of a connection that was reset, so that errors name it.
bool knows_peer_after_reset();

}  // namespace gyre::test
