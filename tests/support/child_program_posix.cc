#include "child_program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace gyre::test {

bool is_gone(std::int64_t id) { return ::kill(static_cast<pid_t>(id), 0) == -1 && errno == ESRCH; }

bool has_children() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

void kill_process(std::int64_t id) { ::kill(static_cast<pid_t>(id), SIGKILL); }

void set_variable(const char* name, const char* value) {
  if (value == nullptr) {
    ::unsetenv(name);
  } else {
    ::setenv(name, value, 1);
  }
}

UniqueFd inheritable_copy(NativeDescriptor descriptor) { return UniqueFd(::dup(static_cast<int>(descriptor))); }

namespace child_steps {

void use_binary_streams() {}
void ignore_requests_to_end() { ::signal(SIGTERM, SIG_IGN); }
bool is_open_number(int descriptor) { return ::fcntl(descriptor, F_GETFD) >= 0; }
void end_after(unsigned seconds) { ::alarm(seconds); }

}  // namespace child_steps
}  // namespace gyre::test
