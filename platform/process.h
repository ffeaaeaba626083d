// Starting a child process, its end, and its signals: the part of net/process.h that knows the system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gyre/platform/clock.h>
#include <gyre/platform/result.h>
#include <gyre/platform/socket.h>
#include <gyre/platform/unique_fd.h>

namespace gyre {

// How a process has ended.
struct ExitStatus {
  int code = 0;    // what it returned, if it was not killed
  int signal = 0;  // what killed it, or 0

  bool success() const noexcept { return code == 0 && signal == 0; }
  // "exit status 3", "killed by signal 9".
  std::string to_string() const;
  friend bool operator==(const ExitStatus&, const ExitStatus&) noexcept = default;
};

// In the child, `target` is another name of what is `source` in the parent.
struct ChildDescriptor {
  int target = 0;
  NativeDescriptor source = no_descriptor;
};

enum class ProcessGroup : std::uint8_t {
  inherited,    // signals from the terminal (Ctrl-C) reach the child, too
  own_group,    // they do not
  own_session,  // and it has no controlling terminal
};

struct ChildProgram {
  std::vector<std::string> paths;        // tried in order until one can be executed
  std::vector<std::string> arguments;    // the program's name first
  std::vector<std::string> environment;  // "NAME=value"
  std::string directory;                 // empty: the parent's
  std::vector<ChildDescriptor> descriptors;  // targets differ; every other descriptor but 0, 1, 2 is closed
  ProcessGroup group = ProcessGroup::inherited;
  bool dies_with_parent = false;  // killed when the thread that started it ends, even if by a crash
};

// What it takes to reach a child.
struct ChildHandle {
  UniqueFd pidfd;  // polls readable once the child has ended (on Windows the handle of the process)
  UniqueFd job;    // Windows: the child and its descendants end when this is closed; elsewhere none
  ProcessGroup group = ProcessGroup::inherited;
  std::int64_t id = 0;
};

// A child that was born and has not yet reported whether its program runs.
class [[nodiscard]] ChildStart {
 public:
  // Signal dispositions and mask are the default ones in the child. Errors: resource_unavailable_try_again (the limit on
  // processes), too_many_files_open, not_enough_memory, invalid_argument (two entries for one target).
  static Result<ChildStart> begin(const ChildProgram& program);
  ChildStart(ChildStart&&) noexcept;
  ChildStart& operator=(ChildStart&&) = delete;
  // Memory that the child may still use is not freed but left to it.
  ~ChildStart();

  // Polls readable once the child has reported; no_descriptor: it had done so when begin() returned (Windows).
  NativeDescriptor report() const noexcept;
  // What the child has reported: success, or the step that failed (OperationKind::redirect, change_directory, execute,
  // spawn_process) and on what; report() is closed. Precondition: it polls readable, or is no descriptor.
  Result<void> finish() noexcept;
  // The child has ended, and been reaped.
  void note_end() noexcept;

  std::int64_t id() const noexcept;
  // Polls readable once the child has ended. It then has to be reaped, also if its start failed.
  NativeDescriptor pidfd() const noexcept;
  ChildHandle take_child() noexcept;

 private:
  struct Memory;
  explicit ChildStart(std::unique_ptr<Memory> memory) noexcept;
  std::unique_ptr<Memory> memory_;
};

// To exactly this process, never to another that was given its number. Errors: no_such_process once it has been reaped;
// operation_not_permitted; invalid_argument.
// Windows knows SIGKILL (9), which ends the descendants, too, and SIGINT, SIGTERM and SIGBREAK: these are Ctrl-Break for a
// child that has a group of its own (operation_not_supported: it shares no console with the caller), and end any other.
Result<void> send_signal(const ChildHandle& child, int signal) noexcept;
// To everybody in the child's own group, also once the child has ended. Linux 6.9 and newer have it by the pidfd; elsewhere it
// goes by the number, which the system gives to no other process while one of the group lives. (Windows: as send_signal().)
// Errors: no_such_process: nobody is left; operation_not_permitted; invalid_argument: there is no such group or signal.
Result<void> send_group_signal(const ChildHandle& child, int signal) noexcept;
// The child, and what it leaves behind, may outlive the handle.
void set_free(ChildHandle& child) noexcept;
// Takes the status of a child that has ended; nothing if it has not. Errors: no_child_process if somebody else has taken
// it (a wait for all children, or an ignored SIGCHLD).
std::optional<Result<ExitStatus>> try_reap(const ChildHandle& child) noexcept;
// As try_reap, but waits for the end. Blocks the thread.
std::optional<Result<ExitStatus>> reap_within(const ChildHandle& child, Duration limit) noexcept;

// Whether ChildProgram::dies_with_parent can be had on this system; where not, begin() answers operation_not_supported.
bool can_die_with_parent() noexcept;

// The files that `program` may mean: itself if it has a slash, else one in each directory of PATH in `environment`; on
// Windows also with ".exe" added.
std::vector<std::string> program_paths(std::string_view program, const std::vector<std::string>& environment);
// The calling process's. Not while another thread changes it.
std::vector<std::string> current_environment();

// The shell that runs `line`, and its arguments.
std::vector<std::string> shell_command(std::string line);
// The file of the running program.
std::string current_program();

// A pipe: `first` reads, `second` writes; both block, as a child expects.
Result<DescriptorPair> open_blocking_pipe() noexcept;
// A pipe between the caller, whose end is for a poller, and a child, whose end blocks.
struct ChildPipe {
  UniqueFd ours;
  UniqueFd of_child;
};
enum class ChildPipeEnd : std::uint8_t { child_reads, child_writes };
Result<ChildPipe> open_child_pipe(ChildPipeEnd end) noexcept;
// Reads nothing, and swallows what is written. Errors: too_many_files_open.
Result<UniqueFd> open_null_device() noexcept;

}  // namespace gyre
