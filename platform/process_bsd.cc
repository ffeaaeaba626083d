// Child processes by posix_spawn(), as macOS and FreeBSD have it: it can close every descriptor that the child is not given (so
// that none leaks into it, whatever other threads open meanwhile) and answers with the error of the step that failed. The
// price: the loop waits while the program's file is opened.
//
// A child is its number, and a queue of kqueue's with nothing in it but the child's end, which polls readable then.
#include <gyre/platform/process.h>

#include <fcntl.h>
#include <spawn.h>
#include <sys/event.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/process_bsd.h>
#include <gyre/platform/syscalls_kqueue.h>

namespace gyre {
namespace {

std::vector<char*> pointers_to(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

Error failure(int error, OperationKind operation = OperationKind::spawn_process) noexcept {
  return Error::system(error, operation);
}

Error redirect_failure(int error, int target) {
  return failure(error, OperationKind::redirect).at(Place::text("descriptor " + std::to_string(target)));
}

// posix_spawn's two objects.
class SpawnPlan {
 public:
  SpawnPlan() noexcept {
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_init(&actions);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }

  posix_spawnattr_t attributes{};
  posix_spawn_file_actions_t actions{};
};

// Dispositions and mask are the default ones. 0 or an errno.
int describe(SpawnPlan& plan, const ChildProgram& program) noexcept {
  sigset_t all;
  sigset_t none;
  sigfillset(&all);
  sigemptyset(&none);
  for (const int unchangeable : {SIGKILL, SIGSTOP}) sigdelset(&all, unchangeable);
  ::posix_spawnattr_setsigdefault(&plan.attributes, &all);
  ::posix_spawnattr_setsigmask(&plan.attributes, &none);
  int flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | detail::spawn_flags;
  if (program.group == ProcessGroup::own_group) flags |= POSIX_SPAWN_SETPGROUP;  // of its own number
  if (program.group == ProcessGroup::own_session) {
    if (detail::spawn_session == 0) return EOPNOTSUPP;
    flags |= detail::spawn_session;
  }
  ::posix_spawnattr_setflags(&plan.attributes, static_cast<short>(flags));
  if (!program.directory.empty()) ::posix_spawn_file_actions_addchdir_np(&plan.actions, program.directory.c_str());
  return 0;
}

// The sources get numbers above all targets first, so that no target overwrites one that is still needed; `moved` keeps
// them until the child has its own.
Result<void> redirect(SpawnPlan& plan, const ChildProgram& program, std::vector<UniqueFd>& moved) {
  std::vector<ChildDescriptor> sorted = program.descriptors;
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.target < b.target; });
  int above = 3;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const int target = sorted[i].target;
    if (target < 0 || (i > 0 && target == sorted[i - 1].target)) return failure(EINVAL, OperationKind::redirect);
    above = std::max(above, target + 1);
  }
  for (const ChildDescriptor& entry : sorted) {
    const int copy = static_cast<int>(sys::duplicate_above(entry.source, above));
    if (copy < 0) return redirect_failure(-copy, entry.target);
    moved.emplace_back(NativeDescriptor{copy});
    ::posix_spawn_file_actions_adddup2(&plan.actions, copy, entry.target);
  }
  // Where the parent has closed its standard streams, one of its own descriptors may have such a number.
  std::vector<bool> keeps(static_cast<std::size_t>(above));
  for (int standard = 0; standard <= 2; ++standard) keeps[static_cast<std::size_t>(standard)] = sys::is_inheritable(standard);
  for (const ChildDescriptor& entry : sorted) keeps[static_cast<std::size_t>(entry.target)] = true;
  detail::close_others(plan.actions, keeps);
  return {};
}

// Whether the child could not go where it was told to, as far as that can be found out afterwards.
bool is_directory_wrong(const std::string& directory) noexcept {
  if (directory.empty()) return false;
  const Result<struct ::stat> status = sys::stat(directory.c_str());
  return !status || !S_ISDIR(status->st_mode);
}

struct Spawned {
  std::int64_t id = 0;
  Error error;
};

// Only the last error, or that a program was found but may not be run, is worth a word.
Spawned spawn(const SpawnPlan& plan, const ChildProgram& program) {
  const std::vector<char*> arguments = pointers_to(program.arguments);
  const std::vector<char*> environment = pointers_to(program.environment);
  std::int64_t last = -ENOENT;
  bool denied = false;
  for (const std::string& path : program.paths) {
    last = sys::spawn(path.c_str(), &plan.actions, &plan.attributes, arguments.data(), environment.data());
    if (last >= 0) return {.id = last, .error = {}};
    denied = denied || last == -EACCES;
    if (last != -ENOENT && last != -ENOTDIR && last != -EACCES) break;
  }
  if (denied && (last == -ENOENT || last == -ENOTDIR)) last = -EACCES;
  const int error = static_cast<int>(-last);
  // The limit on processes and the like is nobody's path.
  if (error == EAGAIN || error == ENOMEM) return {.id = 0, .error = failure(error)};
  if (is_directory_wrong(program.directory)) {
    return {.id = 0, .error = failure(error, OperationKind::change_directory).at(Place::text(program.directory))};
  }
  return {.id = 0, .error = failure(error, OperationKind::execute).at(Place::text(program.arguments.front()))};
}

// A queue with nothing in it but the end of the process. Errors: no_such_process: it has been reaped by somebody else.
Result<UniqueFd> watch_end(std::int64_t id) noexcept {
  Result<UniqueFd> queue = sys::kqueue();
  if (!queue) return queue.error().with(OperationKind::spawn_process);
  struct ::kevent change {};
  change.ident = static_cast<std::uintptr_t>(id);
  change.filter = EVFILT_PROC;
  change.flags = EV_ADD | EV_RECEIPT;
  change.fflags = NOTE_EXIT;
  struct ::kevent receipt {};
  const std::int64_t count = sys::kevent(queue->get(), &change, 1, &receipt, 1, Duration::zero());
  if (count < 0) return failure(static_cast<int>(-count));
  if (receipt.data != 0) return failure(static_cast<int>(receipt.data));
  return queue;
}

// A pipe that has been closed at its other end: polls readable.
Result<UniqueFd> ready_descriptor() noexcept {
  UniqueFd ends[2];
  const Result<void> piped = sys::pipe2(ends, O_NONBLOCK);
  if (!piped) return piped.error().with(OperationKind::spawn_process);
  return std::move(ends[0]);
}

}  // namespace

// All is known when begin() returns, and told by finish(). A child that was not started is
// there all the same: as one that ended at once, with a number that no process has.
struct ChildStart::Memory {
  Error error;
  ChildHandle child;
};

ChildStart::ChildStart(std::unique_ptr<Memory> memory) noexcept : memory_(std::move(memory)) {}
ChildStart::ChildStart(ChildStart&&) noexcept = default;
ChildStart::~ChildStart() = default;

Result<ChildStart> ChildStart::begin(const ChildProgram& program) {
  if (program.dies_with_parent) return failure(EOPNOTSUPP);
  auto memory = std::make_unique<Memory>();
  SpawnPlan plan;
  std::vector<UniqueFd> moved;
  const int refused = describe(plan, program);
  if (refused != 0) return failure(refused);
  const Result<void> redirected = redirect(plan, program, moved);
  if (!redirected && redirected.error().place() == Place()) return redirected.error();
  const Spawned spawned = redirected ? spawn(plan, program) : Spawned{.id = 0, .error = redirected.error()};
  memory->error = spawned.error;
  memory->child.id = spawned.id;
  memory->child.group = program.group;
  Result<UniqueFd> end = spawned.id > 0 ? watch_end(spawned.id) : ready_descriptor();
  if (!end && end.error() == std::errc::no_such_process) end = ready_descriptor();  // it has ended already
  if (!end) {
    if (spawned.id > 0) {
      (void)sys::kill(spawned.id, SIGKILL);
      (void)sys::waitpid(spawned.id, nullptr, 0);
    }
    return end.error();
  }
  memory->child.pidfd = std::move(*end);
  return ChildStart(std::move(memory));
}

NativeDescriptor ChildStart::report() const noexcept { return no_descriptor; }
std::int64_t ChildStart::id() const noexcept { return memory_->child.id; }
NativeDescriptor ChildStart::pidfd() const noexcept { return memory_->child.pidfd.get(); }
ChildHandle ChildStart::take_child() noexcept { return std::move(memory_->child); }

Result<void> ChildStart::finish() noexcept {
  if (memory_->error) return memory_->error;
  return {};
}

void ChildStart::note_end() noexcept {}

bool can_die_with_parent() noexcept { return false; }

// The number is the child's until it has been reaped, which nobody but try_reap() does.
Result<void> send_signal(const ChildHandle& child, int signal) noexcept {
  if (child.id <= 0) return failure(ESRCH, OperationKind::signal);
  const std::int64_t result = sys::kill(child.id, signal);
  if (result < 0) return failure(static_cast<int>(-result), OperationKind::signal);
  return {};
}

Result<void> send_group_signal(const ChildHandle& child, int signal) noexcept {
  if (child.group == ProcessGroup::inherited) return failure(EINVAL, OperationKind::signal);
  if (child.id <= 0) return failure(ESRCH, OperationKind::signal);
  const std::int64_t result = sys::kill(-child.id, signal);
  if (result < 0) return failure(static_cast<int>(-result), OperationKind::signal);
  return {};
}

std::optional<Result<ExitStatus>> try_reap(const ChildHandle& child) noexcept {
  if (child.id <= 0) return Result<ExitStatus>(ExitStatus{.code = 127});
  int native = 0;
  std::int64_t result = sys::waitpid(child.id, &native, WNOHANG);
  if (result == 0) {
    // Of the end one hears a moment before the status can be had (from the queue, and also where the system has refused one,
    // which is what ready_descriptor() stands for): then the wait is as short as that.
    pollfd end{.fd = static_cast<int>(child.pidfd.get()), .events = POLLIN, .revents = 0};
    if (sys::poll(&end, 1, Duration::zero()) != 1) return std::nullopt;
    result = sys::waitpid(child.id, &native, 0);
  }
  if (result < 0) return Result<ExitStatus>(failure(static_cast<int>(-result), OperationKind::wait_process));
  ExitStatus status;
  if (WIFSIGNALED(native)) {
    status.signal = WTERMSIG(native);
  } else {
    status.code = WEXITSTATUS(native);
  }
  return status;
}

std::optional<Result<ExitStatus>> reap_within(const ChildHandle& child, Duration limit) noexcept {
  const Instant deadline = sys::monotonic_now() + limit;
  for (;;) {  // bound: the deadline
    const std::optional<Result<ExitStatus>> reaped = try_reap(child);
    const Instant now = sys::monotonic_now();
    if (reaped || now >= deadline) return reaped;
    pollfd entry{.fd = static_cast<int>(child.pidfd.get()), .events = POLLIN, .revents = 0};
    sys::poll(&entry, 1, deadline - now);
  }
}

}  // namespace gyre
