// Tests that a system cannot pass, each with the reason: one list for each system (backends_*.cc).
#pragma once

#include <string>

namespace gyre::test {

// Why the running test is to be skipped; empty: it is not.
std::string reason_to_skip();

}  // namespace gyre::test
