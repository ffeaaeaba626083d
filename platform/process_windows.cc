#include <gyre/platform/process.h>

#include <windows.h>

#include <algorithm>
#include <bitset>
#include <cerrno>
#include <cstring>
#include <utility>

#include <gyre/platform/command_line_windows.h>
#include <gyre/platform/exit_code_windows.h>
#include <gyre/platform/last_error_windows.h>
#include <gyre/platform/pipe_windows.h>
#include <gyre/platform/signal_handler.h>
#include <gyre/platform/text_windows.h>

namespace gyre {
namespace {

constexpr int signal_kill = 9;
constexpr int signal_break = 21;
// Of a child's descriptors; the C runtime's table has room for more.
constexpr int target_max = 255;

HANDLE handle_of(NativeDescriptor descriptor) noexcept { return reinterpret_cast<HANDLE>(descriptor); }
NativeDescriptor native(HANDLE handle) noexcept { return reinterpret_cast<NativeDescriptor>(handle); }

// 0, 1 and 2 are the caller's own standard streams, as on other systems: no handle has such a number.
HANDLE source_handle(NativeDescriptor source) noexcept {
  switch (source) {
    case 0: return ::GetStdHandle(STD_INPUT_HANDLE);
    case 1: return ::GetStdHandle(STD_OUTPUT_HANDLE);
    case 2: return ::GetStdHandle(STD_ERROR_HANDLE);
    default: return handle_of(source);
  }
}

Error redirect_error(std::int32_t code, int target) {
  return Error::system(code, OperationKind::redirect).at(Place::text("descriptor " + std::to_string(target)));
}

// What the child inherits: duplicates that can be inherited, so that none of the caller's own ever is, and a list of
// them, so that the child gets no other. (A process that other code starts meanwhile without a list has them, too.)
class InheritedHandles {
 public:
  Result<void> add(const ChildDescriptor& entry) {
    if (entry.target < 0 || entry.target > target_max) return redirect_error(EINVAL, entry.target);
    const auto target = static_cast<std::size_t>(entry.target);
    if (has_target_[target]) return Error::system(EINVAL, OperationKind::redirect);
    has_target_.set(target);
    HANDLE copy = nullptr;
    const HANDLE self = ::GetCurrentProcess();
    if (!::DuplicateHandle(self, source_handle(entry.source), self, &copy, 0, TRUE, DUPLICATE_SAME_ACCESS)) {
      return redirect_error(errno_of(::GetLastError()), entry.target);
    }
    copies_.emplace_back(native(copy));
    listed_.push_back(copy);
    if (handles_.size() <= target) handles_.resize(target + 1, INVALID_HANDLE_VALUE);
    handles_[target] = copy;
    return {};
  }
  // The standard streams of which nothing was said. One that this process has not got, its child has not either.
  Result<void> add_standard() {
    for (int target = 0; target <= 2; ++target) {
      const HANDLE own = source_handle(target);
      const bool is_open = own != nullptr && own != INVALID_HANDLE_VALUE;
      if (has_target_[static_cast<std::size_t>(target)] || !is_open) continue;
      const Result<void> added = add({target, target});
      if (!added) return added;
    }
    if (handles_.size() < 3) handles_.resize(3, INVALID_HANDLE_VALUE);
    return {};
  }

  std::vector<HANDLE>& list() noexcept { return listed_; }
  HANDLE standard(std::size_t target) const noexcept {
    return handles_[target] == INVALID_HANDLE_VALUE ? nullptr : handles_[target];
  }
  // The descriptors of the child's C runtime, as it finds them in lpReserved2: a number, a byte of flags each, a handle
  // each. Empty if there are none beyond the standard ones.
  std::vector<BYTE> runtime_table() const {
    if (handles_.size() <= 3) return {};
    const auto count = static_cast<std::uint32_t>(handles_.size());
    std::vector<BYTE> table(sizeof(count) + count * (1 + sizeof(HANDLE)));
    std::memcpy(table.data(), &count, sizeof(count));
    for (std::size_t i = 0; i < count; ++i) {
      if (handles_[i] != INVALID_HANDLE_VALUE) table[sizeof(count) + i] = flags_of(handles_[i]);
      std::memcpy(table.data() + sizeof(count) + count + i * sizeof(HANDLE), &handles_[i], sizeof(HANDLE));
    }
    return table;
  }

 private:
  static BYTE flags_of(HANDLE handle) noexcept {
    constexpr BYTE is_open = 1;
    constexpr BYTE is_pipe = 8;
    constexpr BYTE is_device = 64;
    switch (::GetFileType(handle)) {
      case FILE_TYPE_PIPE: return is_open | is_pipe;
      case FILE_TYPE_CHAR: return is_open | is_device;
      default: return is_open;
    }
  }

  std::bitset<target_max + 1> has_target_;
  std::vector<UniqueFd> copies_;
  std::vector<HANDLE> listed_;
  std::vector<HANDLE> handles_;  // by target
};

// The list of handles as CreateProcess() wants it.
class AttributeList {
 public:
  explicit AttributeList(std::vector<HANDLE>& handles) {
    SIZE_T size = 0;
    ::InitializeProcThreadAttributeList(nullptr, 1, 0, &size);
    room_.resize(size);
    if (!::InitializeProcThreadAttributeList(get(), 1, 0, &size)) return;
    is_initialized_ = true;
    // An empty list is refused; without one, and without inheriting, the child gets nothing either.
    is_complete_ = handles.empty() ||
                   ::UpdateProcThreadAttribute(get(), 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, handles.data(),
                                               handles.size() * sizeof(HANDLE), nullptr, nullptr) != 0;
  }
  AttributeList(const AttributeList&) = delete;
  AttributeList& operator=(const AttributeList&) = delete;
  ~AttributeList() {
    if (is_initialized_) ::DeleteProcThreadAttributeList(get());
  }
  bool is_complete() const noexcept { return is_complete_; }
  LPPROC_THREAD_ATTRIBUTE_LIST get() noexcept { return reinterpret_cast<LPPROC_THREAD_ATTRIBUTE_LIST>(room_.data()); }

 private:
  std::vector<BYTE> room_;
  bool is_initialized_ = false;
  bool is_complete_ = false;
};

DWORD flags_of(ProcessGroup group) noexcept {
  // Suspended: not a step of it happens outside its job.
  constexpr DWORD always = CREATE_SUSPENDED | CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT;
  switch (group) {
    case ProcessGroup::inherited: break;
    case ProcessGroup::own_group: return always | CREATE_NEW_PROCESS_GROUP;
    case ProcessGroup::own_session: return always | CREATE_NEW_PROCESS_GROUP | DETACHED_PROCESS;
  }
  return always;
}

bool set_limits(HANDLE job, DWORD flags) noexcept {
  JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits{};
  limits.BasicLimitInformation.LimitFlags = flags;
  return ::SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof(limits)) != 0;
}

Result<UniqueFd> open_job() noexcept {
  UniqueFd job(native(::CreateJobObjectW(nullptr, nullptr)));
  if (job.get() == 0) {
    static_cast<void>(job.release());
    return sys::last_error(OperationKind::spawn_process);
  }
  // A crash of the child must not bring a window up, and wait for somebody to click.
  const DWORD limits = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION;
  if (!set_limits(handle_of(job.get()), limits)) return sys::last_error(OperationKind::spawn_process);
  return job;
}

Result<void> check_directory(const std::string& directory) {
  if (directory.empty()) return {};
  const DWORD attributes = ::GetFileAttributesW(sys::to_wide(directory).c_str());
  std::int32_t code = 0;
  if (attributes == INVALID_FILE_ATTRIBUTES) {
    code = errno_of(::GetLastError());
  } else if ((attributes & FILE_ATTRIBUTE_DIRECTORY) == 0) {
    code = ENOTDIR;
  }
  if (code == 0) return {};
  return Error::system(code, OperationKind::change_directory).at(Place::text(directory));
}

bool is_absolute(std::string_view path) noexcept {
  return path.starts_with('/') || path.starts_with('\\') || (path.size() > 1 && path[1] == ':');
}

// Asked before, as one code of CreateProcess() means all of these.
std::int32_t execute_error(const std::wstring& path, DWORD code) noexcept {
  const DWORD attributes = ::GetFileAttributesW(path.c_str());
  if (attributes == INVALID_FILE_ATTRIBUTES) return errno_of(::GetLastError());
  if ((attributes & FILE_ATTRIBUTE_DIRECTORY) != 0) return EACCES;
  return errno_of(code);
}

}  // namespace

std::string ExitStatus::to_string() const {
  return signal != 0 ? "killed by signal " + std::to_string(signal) : "exit status " + std::to_string(code);
}

// Everything happens in begin(), so that there is nothing to report later.
struct ChildStart::Memory {
  ChildHandle child;
  std::int64_t id = 0;
};

ChildStart::ChildStart(std::unique_ptr<Memory> memory) noexcept : memory_(std::move(memory)) {}
ChildStart::ChildStart(ChildStart&&) noexcept = default;
ChildStart::~ChildStart() = default;

Result<ChildStart> ChildStart::begin(const ChildProgram& program) {
  InheritedHandles handles;
  for (const ChildDescriptor& entry : program.descriptors) {
    const Result<void> added = handles.add(entry);
    if (!added) return added.error();
  }
  const Result<void> added = handles.add_standard();
  if (!added) return added.error();
  const Result<void> checked = check_directory(program.directory);
  if (!checked) return checked.error();
  AttributeList attributes(handles.list());
  if (!attributes.is_complete()) return sys::last_error(OperationKind::spawn_process);
  Result<UniqueFd> job = open_job();
  if (!job) return job.error();

  STARTUPINFOEXW startup{};
  startup.StartupInfo.cb = sizeof(startup);
  startup.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
  startup.StartupInfo.hStdInput = handles.standard(0);
  startup.StartupInfo.hStdOutput = handles.standard(1);
  startup.StartupInfo.hStdError = handles.standard(2);
  std::vector<BYTE> table = handles.runtime_table();
  startup.StartupInfo.cbReserved2 = static_cast<WORD>(table.size());
  startup.StartupInfo.lpReserved2 = table.empty() ? nullptr : table.data();
  startup.lpAttributeList = attributes.get();
  std::wstring environment = sys::environment_block_of(program.environment);
  const std::wstring directory = sys::to_wide(program.directory);
  const BOOL inherits = handles.list().empty() ? FALSE : TRUE;

  std::int32_t failure = ENOENT;
  for (const std::string& path : program.paths) {
    const bool is_inside = !program.directory.empty() && !is_absolute(path);
    const std::wstring file = sys::to_wide(is_inside ? program.directory + '\\' + path : path);
    if (sys::is_batch_file(path)) {
      failure = ENOEXEC;
      break;
    }
    std::wstring line = sys::command_line_of(program.arguments);  // CreateProcess() may write to it
    PROCESS_INFORMATION made{};
    if (!::CreateProcessW(file.c_str(), line.data(), nullptr, nullptr, inherits, flags_of(program.group),
                          environment.data(), directory.empty() ? nullptr : directory.c_str(), &startup.StartupInfo,
                          &made)) {
      const std::int32_t error = execute_error(file, ::GetLastError());
      if (error == ENOENT || error == ENOTDIR) continue;
      failure = error;
      if (error == EACCES) continue;
      break;
    }
    const UniqueFd thread(native(made.hThread));
    auto memory = std::make_unique<Memory>();
    memory->child = {UniqueFd(native(made.hProcess)), std::move(*job), program.group};
    memory->id = made.dwProcessId;
    if (!::AssignProcessToJobObject(handle_of(memory->child.job.get()), made.hProcess) ||
        ::ResumeThread(made.hThread) == static_cast<DWORD>(-1)) {
      const Error error = sys::last_error(OperationKind::spawn_process);
      ::TerminateProcess(made.hProcess, sys::exit_code_of_signal(signal_kill));
      return error;
    }
    return ChildStart(std::move(memory));
  }
  return Error::system(failure, OperationKind::execute).at(Place::text(program.arguments.front()));
}

NativeDescriptor ChildStart::report() const noexcept { return no_descriptor; }
Result<void> ChildStart::finish() noexcept { return {}; }
void ChildStart::note_end() noexcept {}
std::int64_t ChildStart::id() const noexcept { return memory_->id; }
NativeDescriptor ChildStart::pidfd() const noexcept { return memory_->child.pidfd.get(); }
ChildHandle ChildStart::take_child() noexcept { return std::move(memory_->child); }

// Two ways to ask a process to end: Ctrl-Break, which goes to a whole group and so only to one that is the child's own, and
// the end itself. The first reaches only who shares a console with the caller.
Result<void> send_signal(const ChildHandle& child, int signal) noexcept {
  const HANDLE process = handle_of(child.pidfd.get());
  if (::WaitForSingleObject(process, 0) == WAIT_OBJECT_0) return Error::system(ESRCH, OperationKind::signal);
  switch (signal) {
    case 0: return {};
    case signal_interrupt: case signal_terminate: case signal_break:
      if (child.group != ProcessGroup::own_group) break;
      if (::GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, ::GetProcessId(process))) return {};
      return Error::system(EOPNOTSUPP, OperationKind::signal).at(Place::text("no console"));
    case signal_kill: break;
    default: return Error::system(EINVAL, OperationKind::signal);
  }
  if (::TerminateJobObject(handle_of(child.job.get()), sys::exit_code_of_signal(signal))) return {};
  return sys::last_error(OperationKind::signal);
}

Result<void> send_group_signal(const ChildHandle& child, int signal) noexcept {
  if (child.group == ProcessGroup::inherited) return Error::system(EINVAL, OperationKind::signal);
  return send_signal(child, signal);
}

bool can_die_with_parent() noexcept { return true; }

void set_free(ChildHandle& child) noexcept {
  if (child.job) static_cast<void>(set_limits(handle_of(child.job.get()), 0));
  child.job.reset();
}

std::optional<Result<ExitStatus>> try_reap(const ChildHandle& child) noexcept { return reap_within(child, Duration(0)); }

std::optional<Result<ExitStatus>> reap_within(const ChildHandle& child, Duration limit) noexcept {
  constexpr Duration limit_max = std::chrono::hours(24);
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(std::clamp(limit, Duration(0), limit_max));
  const HANDLE process = handle_of(child.pidfd.get());
  switch (::WaitForSingleObject(process, static_cast<DWORD>(wait.count()))) {
    case WAIT_OBJECT_0: break;
    case WAIT_TIMEOUT: return std::nullopt;
    default: return Result<ExitStatus>(sys::last_error(OperationKind::wait_process));
  }
  DWORD code = 0;
  if (!::GetExitCodeProcess(process, &code)) return Result<ExitStatus>(sys::last_error(OperationKind::wait_process));
  return Result<ExitStatus>(sys::exit_status_of(code));
}

std::vector<std::string> program_paths(std::string_view program, const std::vector<std::string>& environment) {
  const std::string_view file = program.substr(program.find_last_of("/\\:") + 1);
  const bool has_suffix = file.find('.') != file.npos;
  std::vector<std::string> paths;
  const auto add = [&](const std::string& path) {
    if (has_suffix) paths.push_back(path);
    paths.push_back(path + ".exe");
    if (!has_suffix) paths.push_back(path);
  };
  if (file.size() != program.size()) {
    add(std::string(program));
    return paths;
  }
  std::string_view search;
  for (const std::string& entry : environment) {
    if (entry.size() >= 5 && ::_strnicmp(entry.c_str(), "PATH=", 5) == 0) search = std::string_view(entry).substr(5);
  }
  // The current directory is not searched unless PATH names it, nor are the system's own ones.
  for (std::size_t begin = 0; begin < search.size();) {
    const std::size_t end = std::min(search.find(';', begin), search.size());
    if (end > begin) add(std::string(search.substr(begin, end - begin)) + '\\' + std::string(program));
    begin = end + 1;
  }
  return paths;
}

std::vector<std::string> current_environment() {
  std::vector<std::string> environment;
  wchar_t* const block = ::GetEnvironmentStringsW();
  if (block == nullptr) return environment;
  for (const wchar_t* entry = block; *entry != L'\0'; entry += std::wcslen(entry) + 1) {
    // "=C:=C:\here": the current directories of the drives, which are no variables.
    if (*entry != L'=') environment.push_back(sys::to_utf8(entry));
  }
  ::FreeEnvironmentStringsW(block);
  return environment;
}

std::vector<std::string> shell_command(std::string line) {
  wchar_t folder[MAX_PATH] = {};
  const UINT size = ::GetSystemDirectoryW(folder, MAX_PATH);
  const std::string shell = sys::to_utf8({folder, std::min<std::size_t>(size, MAX_PATH)}) + "\\cmd.exe";
  return {shell, "/d", "/s", "/c", std::move(line)};
}

std::string current_program() {
  std::wstring path(MAX_PATH, L'\0');
  for (;;) {  // bound: paths are at most 32,767 long
    const DWORD size = ::GetModuleFileNameW(nullptr, path.data(), static_cast<DWORD>(path.size()));
    if (size < path.size()) return sys::to_utf8({path.data(), size});
    path.resize(2 * path.size());
  }
}

Result<DescriptorPair> open_blocking_pipe() noexcept {
  return sys::open_pipe(sys::PipeMode::blocking, sys::PipeMode::blocking);
}

Result<ChildPipe> open_child_pipe(ChildPipeEnd end) noexcept {
  const bool child_reads = end == ChildPipeEnd::child_reads;
  const auto of_child = sys::PipeMode::blocking;
  const auto ours = sys::PipeMode::overlapped;
  Result<DescriptorPair> made = child_reads ? sys::open_pipe(of_child, ours) : sys::open_pipe(ours, of_child);
  if (!made) return made.error();
  if (child_reads) return ChildPipe{std::move(made->second), std::move(made->first)};
  return ChildPipe{std::move(made->first), std::move(made->second)};
}

Result<UniqueFd> open_null_device() noexcept {
  const HANDLE null = ::CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, nullptr,
                                    OPEN_EXISTING, 0, nullptr);
  if (null == INVALID_HANDLE_VALUE) return sys::last_error(OperationKind::open_file).at(Place::text("NUL"));
  return UniqueFd(native(null));
}

}  // namespace gyre
