// The child processes of macOS and FreeBSD on Linux: posix_spawn(), and a queue for each child's end (platform/process_bsd.cc),
// over the double of kqueue. The tests are those of process_test.cc, for what they promise is the same. That file and
// process_bsd.cc are compiled into this program, in which the library's own way to have children is not linked.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

#include <gyre/platform/syscalls_posix.h>

// What the calls of those systems have and Linux's have not: here glibc's, without the seam for failures.
namespace gyre::sys {
namespace {

std::int64_t or_errno(std::int64_t result) noexcept { return result < 0 ? -errno : result; }

std::int64_t duplicate_above(NativeDescriptor fd, int least) noexcept {
  return or_errno(::fcntl(static_cast<int>(fd), F_DUPFD_CLOEXEC, least));
}

bool is_inheritable(NativeDescriptor fd) noexcept {
  const int flags = ::fcntl(static_cast<int>(fd), F_GETFD);
  return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

std::int64_t spawn(const char* path, const posix_spawn_file_actions_t* actions, const posix_spawnattr_t* attributes,
                   char* const* arguments, char* const* environment) noexcept {
  pid_t child = 0;
  const int error = ::posix_spawn(&child, path, actions, attributes, arguments, environment);
  return error == 0 ? child : -error;
}

std::int64_t waitpid(std::int64_t process, int* status, int options) noexcept {
  std::int64_t result = -1;
  do {
    result = ::waitpid(static_cast<pid_t>(process), status, options);
  } while (result < 0 && errno == EINTR);
  return or_errno(result);
}

}  // namespace
}  // namespace gyre::sys

#include "../platform/process_bsd.cc"

// As FreeBSD has them, but for the session.
namespace gyre {

const int detail::spawn_flags = 0;
const int detail::spawn_session = POSIX_SPAWN_SETSID;

void detail::close_others(posix_spawn_file_actions_t& actions, const std::vector<bool>& keeps) {
  for (std::size_t number = 0; number < keeps.size(); ++number) {
    if (!keeps[number]) ::posix_spawn_file_actions_addclose(&actions, static_cast<int>(number));
  }
  ::posix_spawn_file_actions_addclosefrom_np(&actions, static_cast<int>(keeps.size()));
}

std::string current_program() { return "/proc/self/exe"; }

}  // namespace gyre

#include "process_test.cc"

namespace gyre::test {
namespace {

// While a child ends, a system may refuse to watch it, and not have its status yet.
TEST_P(ProcessTest, ChildWhoseEndCannotBeWatchedIsReapedAllTheSame) {
  sys::FaultPlan plan;
  const Result<ProcessOutput> done = run([](sys::FaultPlan* faults) -> Task<Result<ProcessOutput>> {
    faults->add({.number = sys::number_kevent, .fault = {.kind = sys::Fault::Kind::fail, .value = ESRCH}});
    const sys::FaultScope scope(*faults);
    const Command command = child({"exit 7"});
    co_return co_await Process::run(command);
  }(&plan));
  ASSERT_TRUE(done.has_value()) << done.error();
  EXPECT_EQ(done->status.code, 7);
  EXPECT_EQ(plan.hits(), 1u);
}

}  // namespace
}  // namespace gyre::test
