#include <gyre/platform/process.h>

#include <algorithm>
#include <utility>

#include <gyre/platform/syscalls_child_linux.h>
#include <gyre/platform/syscalls_linux.h>

namespace gyre {
namespace {

constexpr int id_type_pidfd = 3;  // P_PIDFD, Linux 5.4

// Pointers to the strings, and a null.
std::vector<char*> pointers_to(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

sys::ChildPlan::Placement placement_of(ProcessGroup group) noexcept {
  switch (group) {
    case ProcessGroup::inherited: break;
    case ProcessGroup::own_group: return sys::ChildPlan::Placement::own_group;
    case ProcessGroup::own_session: return sys::ChildPlan::Placement::own_session;
  }
  return sys::ChildPlan::Placement::with_parent;
}

// Sorted by target. 0, 1 and 2 are inherited where nothing else is said.
Result<std::vector<sys::ChildRedirect>> redirects_of(const ChildProgram& program) {
  std::vector<sys::ChildRedirect> redirects;
  for (const ChildDescriptor& entry : program.descriptors) {
    redirects.push_back({.target = entry.target, .source = static_cast<int>(entry.source)});
  }
  for (int standard = 0; standard <= 2; ++standard) {
    const bool is_given = std::any_of(redirects.begin(), redirects.end(),
                                      [&](const auto& entry) { return entry.target == standard; });
    if (!is_given) redirects.push_back({.target = standard, .source = standard, .is_inherited = true});
  }
  std::sort(redirects.begin(), redirects.end(),
            [](const auto& a, const auto& b) { return a.target < b.target; });
  for (std::size_t i = 0; i < redirects.size(); ++i) {
    const bool is_repeated = i > 0 && redirects[i].target == redirects[i - 1].target;
    if (is_repeated || redirects[i].target < 0) return Error::system(EINVAL, OperationKind::redirect);
  }
  return redirects;
}

OperationKind operation_of(sys::ChildStep step) noexcept {
  switch (step) {
    case sys::ChildStep::redirect: return OperationKind::redirect;
    case sys::ChildStep::change_directory: return OperationKind::change_directory;
    case sys::ChildStep::execute: return OperationKind::execute;
    case sys::ChildStep::none: case sys::ChildStep::placement: break;
  }
  return OperationKind::spawn_process;
}

}  // namespace

struct ChildStart::Memory {
  explicit Memory(const ChildProgram& given) : program(given) {}

  ChildProgram program;
  std::vector<char*> paths;
  std::vector<char*> arguments;
  std::vector<char*> environment;
  std::vector<sys::ChildRedirect> redirects;
  sys::ChildPlan plan;
  UniqueFd report;
  ChildHandle child;
  std::int64_t id = 0;
  bool is_left = false;  // the child uses none of this any more
};

ChildStart::ChildStart(std::unique_ptr<Memory> memory) noexcept : memory_(std::move(memory)) {}
ChildStart::ChildStart(ChildStart&&) noexcept = default;

ChildStart::~ChildStart() {
  if (memory_ == nullptr || memory_->is_left) return;
  memory_->report.reset();
  memory_->child.pidfd.reset();
  static_cast<void>(memory_.release());
}

Result<ChildStart> ChildStart::begin(const ChildProgram& program) {
  auto memory = std::make_unique<Memory>(program);
  Result<std::vector<sys::ChildRedirect>> redirects = redirects_of(program);
  if (!redirects) return redirects.error();
  memory->redirects = std::move(*redirects);
  memory->paths = pointers_to(memory->program.paths);
  memory->arguments = pointers_to(memory->program.arguments);
  memory->environment = pointers_to(memory->program.environment);

  UniqueFd ends[2];
  const Result<void> piped = sys::pipe2(ends, O_NONBLOCK);
  if (!piped) return piped.error().with(OperationKind::spawn_process);
  sys::ChildPlan& plan = memory->plan;
  plan.paths = memory->paths.data();
  plan.arguments = memory->arguments.data();
  plan.environment = memory->environment.data();
  plan.directory = program.directory.empty() ? nullptr : memory->program.directory.c_str();
  plan.redirects = memory->redirects.data();
  plan.redirects_count = memory->redirects.size();
  plan.report = static_cast<std::int32_t>(ends[1].get());
  plan.placement = placement_of(program.group);
  plan.dies_with = program.dies_with_parent ? sys::getpid() : 0;
  memory->id = sys::start_child(plan, memory->child.pidfd);
  if (memory->id < 0) {
    return Error::system(static_cast<std::int32_t>(-memory->id), OperationKind::spawn_process);
  }
  memory->report = std::move(ends[0]);
  memory->child.id = memory->id;
  memory->child.group = program.group;
  return ChildStart(std::move(memory));
}

NativeDescriptor ChildStart::report() const noexcept { return memory_->report.get(); }
std::int64_t ChildStart::id() const noexcept { return memory_->id; }
NativeDescriptor ChildStart::pidfd() const noexcept { return memory_->child.pidfd.get(); }
ChildHandle ChildStart::take_child() noexcept { return std::move(memory_->child); }

Result<void> ChildStart::finish() noexcept {
  sys::ChildReport report;
  const std::int64_t count = sys::read(memory_->report.get(), &report, sizeof(report));
  GYRE_CHECK_HINT(count != -EAGAIN, "the child has not reported yet");
  memory_->report.reset();
  if (count != static_cast<std::int64_t>(sizeof(report))) {
    memory_->is_left = true;  // the pipe was closed by execve, or by the end, and both let go of the memory before
    return {};
  }
  // The child still stands on its stack, in exit_group.
  const Error error = Error::system(report.error, operation_of(report.step));
  const ChildProgram& program = memory_->program;
  switch (report.step) {
    case sys::ChildStep::execute: return error.at(Place::text(program.arguments.front()));
    case sys::ChildStep::change_directory: return error.at(Place::text(program.directory));
    case sys::ChildStep::redirect:
      return error.at(Place::text("descriptor " + std::to_string(report.detail)));
    case sys::ChildStep::none: case sys::ChildStep::placement: break;
  }
  return error;
}

void ChildStart::note_end() noexcept { memory_->is_left = true; }

Result<void> send_signal(const ChildHandle& child, int signal) noexcept {
  return sys::pidfd_send_signal(child.pidfd.get(), signal, 0);
}

Result<void> send_group_signal(const ChildHandle& child, int signal) noexcept {
  if (child.group == ProcessGroup::inherited) return Error::system(EINVAL, OperationKind::signal);
  Result<void> sent = sys::pidfd_send_signal(child.pidfd.get(), signal, sys::pidfd_signal_process_group);
  if (sent || sent.error() != std::errc::invalid_argument) return sent;
  // Older than Linux 6.9, or no such signal.
  const std::int64_t result = sys::kill(-child.id, signal);
  if (result < 0) return Error::system(static_cast<std::int32_t>(-result), OperationKind::signal);
  return {};
}

bool can_die_with_parent() noexcept { return true; }

std::optional<Result<ExitStatus>> try_reap(const ChildHandle& child) noexcept {
  siginfo_t info{};
  const std::int64_t result = sys::waitid(id_type_pidfd, child.pidfd.get(), &info, WEXITED | WNOHANG);
  if (result < 0) {
    return Error::system(static_cast<std::int32_t>(-result), OperationKind::wait_process);
  }
  if (info.si_pid == 0) return std::nullopt;
  ExitStatus status;
  (info.si_code == CLD_EXITED ? status.code : status.signal) = info.si_status;
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

// Also if the file has been moved or replaced since.
std::string current_program() { return "/proc/self/exe"; }

}  // namespace gyre
