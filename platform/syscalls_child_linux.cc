#include <gyre/platform/syscalls_child_linux.h>

#include <sched.h>
#include <sys/prctl.h>

#include <gyre/platform/syscalls_linux.h>

namespace gyre::sys {
namespace {

// The kernel's structures, which are not libc's: an action without handler, and a signal set.
constexpr std::size_t signal_action_size = 32;
constexpr long signal_set_size = 8;
constexpr int signals_max = 64;
constexpr unsigned long flag_pidfd = 0x1000;  // CLONE_PIDFD
constexpr long highest_descriptor = 0x7fffffff;

// Everything from here to run_child() runs in the child, in the parent's memory.

[[noreturn]] GYRE_BARE void fail(const ChildPlan& plan, ChildStep step, long error, int detail) noexcept {
  // An aggregate: a constructor would be a function that is not bare. ThreadSanitizer notes the calls of such a one in the
  // thread's stack of calls, which is the parent's, too.
  const ChildReport report{.step = step, .error = static_cast<std::int32_t>(-error), .detail = detail};
  raw_syscall(SYS_write, plan.report, reinterpret_cast<long>(&report), sizeof(report));
  for (;;) raw_syscall(SYS_exit_group, 127);
}

GYRE_BARE void reset_signals() noexcept {
  alignas(8) unsigned char by_default[signal_action_size];
  for (std::size_t i = 0; i < signal_action_size; ++i) {
    *static_cast<volatile unsigned char*>(&by_default[i]) = 0;  // volatile: not a call of memset
  }
  // Ignored signals, too: what the parent ignores (broken pipes, say) is not for its child to inherit.
  for (int signal = 1; signal <= signals_max; ++signal) {
    raw_syscall(SYS_rt_sigaction, signal, reinterpret_cast<long>(&by_default[0]), 0, signal_set_size);
  }
}

GYRE_BARE void close_between(long first, long last) noexcept {
  if (first > last) return;
  if (raw_syscall(number_close_range, first, last, 0) >= 0) return;
  // Before Linux 5.9. What is beyond stays to close-on-exec.
  constexpr long last_tried = 65535;
  for (long fd = first; fd <= last && fd <= last_tried; ++fd) raw_syscall(SYS_close, fd);
}

// Sources first get numbers above all targets, so that no target overwrites one that is still needed.
GYRE_BARE void redirect(ChildPlan& plan) noexcept {
  const std::size_t count = plan.redirects_count;
  long above = 3;
  for (std::size_t i = 0; i < count; ++i) {
    if (plan.redirects[i].target >= above) above = plan.redirects[i].target + 1;
  }
  const long report = raw_syscall(SYS_fcntl, plan.report, F_DUPFD_CLOEXEC, above);
  if (report < 0) fail(plan, ChildStep::redirect, report, plan.report);
  plan.report = static_cast<std::int32_t>(report);
  for (std::size_t i = 0; i < count; ++i) {
    ChildRedirect& entry = plan.redirects[i];
    if (entry.is_inherited) {
      // Where the parent has closed its standard streams, one of its own descriptors may have such a number.
      const long flags = raw_syscall(SYS_fcntl, entry.source, F_GETFD);
      if (flags < 0 || (flags & FD_CLOEXEC) != 0) continue;
    }
    const long moved = raw_syscall(SYS_fcntl, entry.source, F_DUPFD_CLOEXEC, above);
    if (moved < 0) fail(plan, ChildStep::redirect, moved, entry.target);
    entry.moved = static_cast<std::int32_t>(moved);
  }
  long next = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const ChildRedirect& entry = plan.redirects[i];
    if (entry.moved < 0) continue;
    close_between(next, entry.target - 1);
    const long made = raw_syscall(SYS_dup3, entry.moved, entry.target, 0);
    if (made < 0) fail(plan, ChildStep::redirect, made, entry.target);
    next = entry.target + 1;
  }
  // Closed here and not by execve: another child, whose execve takes long, would keep the pipes of all others open.
  close_between(next, plan.report - 1);
  close_between(plan.report + 1, highest_descriptor);
}

GYRE_BARE void place(const ChildPlan& plan) noexcept {
  long result = 0;
  if (plan.placement == ChildPlan::Placement::own_group) result = raw_syscall(SYS_setpgid, 0, 0);
  if (plan.placement == ChildPlan::Placement::own_session) result = raw_syscall(SYS_setsid);
  if (result < 0) fail(plan, ChildStep::placement, result, 0);
  if (plan.dies_with == 0) return;
  raw_syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
  // Gone before that? The report is for nobody then.
  if (raw_syscall(SYS_getppid) != plan.dies_with) fail(plan, ChildStep::placement, -ESRCH, 0);
}

// Only the last error, or that a program was found but may not be run, is worth a word.
GYRE_BARE long execute(const ChildPlan& plan) noexcept {
  long last = -ENOENT;
  bool denied = false;
  for (const char* const* path = plan.paths; *path != nullptr; ++path) {
    last = raw_syscall(SYS_execve, reinterpret_cast<long>(*path), reinterpret_cast<long>(plan.arguments),
                       reinterpret_cast<long>(plan.environment));
    denied = denied || last == -EACCES;
    if (last != -ENOENT && last != -ENOTDIR && last != -EACCES) return last;
  }
  return denied ? -EACCES : last;
}

GYRE_BARE void run_child(void* argument) noexcept {
  ChildPlan& plan = *static_cast<ChildPlan*>(argument);
  reset_signals();
  redirect(plan);
  place(plan);
  if (plan.directory != nullptr) {
    const long changed = raw_syscall(SYS_chdir, reinterpret_cast<long>(plan.directory));
    if (changed < 0) fail(plan, ChildStep::change_directory, changed, 0);
  }
  const unsigned long none = 0;
  raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&none), 0, signal_set_size);
  fail(plan, ChildStep::execute, execute(plan), 0);
}

}  // namespace

std::int64_t start_child(ChildPlan& plan, UniqueFd& pidfd, const Site& site) noexcept {
  if constexpr (fault_injection) {
    const Fault fault = detail::consult(SYS_clone, site);
    if (fault.kind == Fault::Kind::fail) return -fault.value;
  }
  // A handler of the parent must not run in the child, which has the parent's memory.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  int fd = -1;
  const long child = raw_clone(CLONE_VM | flag_pidfd | SIGCHLD, plan.stack + sizeof(plan.stack), &fd,
                               run_child, &plan);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (child >= 0) pidfd.reset(fd);
  return child;
}

}  // namespace gyre::sys
