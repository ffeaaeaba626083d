// A child for tests of processes, the same on every system: the test program itself, which then does what it is told.
//
//   Command command = child({"say out", "exit 3"});
//   int main(int argc, char** argv) { return be_child_or_test(argc, argv); }
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <gyre/net/process.h>
#include <gyre/platform/unique_fd.h>

namespace gyre::test {

// What it does, one after the other:
//   cat           copies its input to its output
//   drain         reads its input to the end
//   line          reads one line of input
//   close         closes its input
//   say TEXT      a line of output; `err TEXT`: of errors
//   flood         writes lines for ever
//   where         its directory, as a line
//   value NAME    a variable of its environment, as a line, or "(none)"
//   list          its whole environment, a line each
//   copy N        copies descriptor N to its output
//   open N        whether descriptor N is open: "N open" or "N closed"
//   rest          all arguments that follow, each in brackets, as a line; the last thing it does
//   ignore        does not end when it is asked to
//   exit N        ends
Command child(std::vector<std::string> steps);

// The main() of a test program whose children are of this kind.
int be_child_or_test(int argc, char** argv);

// Whether no process has this number any more.
bool is_gone(std::int64_t id);
// Whether this process has children, running or not reaped.
bool has_children();
// Ends a process on the spot, as SIGKILL does.
void kill_process(std::int64_t id);
// A variable of this process, which children inherit; null: none.
void set_variable(const char* name, const char* value);
// One that children inherit if nothing is done about it.
UniqueFd inheritable_copy(NativeDescriptor descriptor);

namespace child_steps {

// What systems do differently.
void use_binary_streams();
void ignore_requests_to_end();
bool is_open_number(int descriptor);
// Ends this process in `seconds`, whatever it does: no test leaves a child for ever.
void end_after(unsigned seconds);

}  // namespace child_steps

}  // namespace gyre::test
