// Process: a child process, its standard streams, its end.
//
//   Command command("grep");
//   command.argument("-c").argument("needle");
//   Result<ProcessOutput> counted = co_await Process::run(command, haystack);   // status, output, errors
//
// A child never outlives its Process unless it is detached: the destructor kills one that still runs, and the reactor
// reaps it. A pidfd stands for the child, so a signal reaches it or nobody, and only its own status is collected: other
// children of the program, SIGCHLD and its handler are left alone. (A program that ignores SIGCHLD, or waits for all its
// children, takes the status away: no_child_process.)
//
// Starting does not block the loop: the child runs in its parent's memory until it executes its program, and the loop goes
// on meanwhile. It is in net/ and not in reactor/, because its pipes are streams. Valgrind knows no such clone() and ends there:
// look for errors of memory by the sanitizers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gyre/net/stream.h>
#include <gyre/platform/clock.h>
#include <gyre/platform/process.h>
#include <gyre/platform/result.h>
#include <gyre/task/task.h>

namespace gyre {

namespace detail {
class ChildWatch;
}

// What a child's standard stream is.
class Stdio {
 public:
  // The parent's own.
  static constexpr Stdio inherited() noexcept { return Stdio(Kind::inherited); }
  // Nothing: reads the end at once, swallows what is written.
  static constexpr Stdio null() noexcept { return Stdio(Kind::null); }
  // A pipe, whose other end the Process has.
  static constexpr Stdio piped() noexcept { return Stdio(Kind::piped); }
  // This descriptor, which must stay open until the child has started.
  static constexpr Stdio descriptor(NativeDescriptor fd) noexcept { return Stdio(Kind::descriptor, fd); }
  // For the errors: where the output goes.
  static constexpr Stdio as_output() noexcept { return Stdio(Kind::as_output); }

 private:
  friend class Command;
  friend class Process;
  enum class Kind : std::uint8_t { inherited, null, piped, descriptor, as_output };

  constexpr explicit Stdio(Kind kind, NativeDescriptor fd = no_descriptor) noexcept : kind_(kind), fd_(fd) {}

  Kind kind_;
  NativeDescriptor fd_;
};

// What to start, and how. Descriptors that are not named here are closed in the child; signals have their default
// dispositions, and none is blocked.
class Command {
 public:
  // Looked up in the PATH of the child's environment, unless it has a slash.
  explicit Command(std::string program) : program_(std::move(program)) {}
  // A line for /bin/sh, or for cmd.exe.
  static Command shell(std::string line);

  Command& argument(std::string text) & { arguments_.push_back(std::move(text)); return *this; }
  // Where the program starts; a relative program path starts there, too.
  Command& directory(std::string path) & { directory_ = std::move(path); return *this; }
  // Sets one variable; all others are the parent's, unless clear_environment() was called before.
  Command& variable(std::string_view name, std::string_view value) &;
  Command& clear_environment() & { environment_.emplace(); return *this; }
  Command& input(Stdio from) & { input_ = from; return *this; }
  Command& output(Stdio to) & { output_ = to; return *this; }
  Command& errors(Stdio to) & { errors_ = to; return *this; }
  // In the child `target` (3 or more) is another name of `source`, which must stay open until the child has started.
  Command& descriptor(int target, NativeDescriptor source) & {
    descriptors_.push_back({target, source});
    return *this;
  }
  Command& group(ProcessGroup group) & { group_ = group; return *this; }
  // Killed when the reactor's thread ends, even if by a crash. Error of start(): operation_not_supported (macOS, FreeBSD).
  Command& dies_with_parent() & { dies_with_parent_ = true; return *this; }

 private:
  friend class Process;

  std::string program_;
  std::vector<std::string> arguments_;
  std::optional<std::vector<std::string>> environment_;
  std::string directory_;
  Stdio input_ = Stdio::inherited();
  Stdio output_ = Stdio::inherited();
  Stdio errors_ = Stdio::inherited();
  std::vector<ChildDescriptor> descriptors_;
  ProcessGroup group_ = ProcessGroup::inherited;
  bool dies_with_parent_ = false;
};

// Our end of a pipe to or from a child: either readable or writable.
class ProcessPipe : public Stream {
 public:
  ProcessPipe() noexcept = default;
  // Must be called inside a task. On failure `fd` is closed.
  static Result<ProcessPipe> adopt(UniqueFd fd);
  // Closes at once, so that the child reads the end. Precondition: nothing is in flight.
  void close_now() noexcept { *this = ProcessPipe(); }

 private:
  ProcessPipe(Poller& poller, Descriptor& descriptor) noexcept : Stream(poller, descriptor) {}
};

struct CommunicateOptions {
  // Bytes of output, and of errors, that are kept. More: the child is stopped, and the error is limit_exceeded.
  std::size_t output_max = std::size_t{16} << 20;
  // When the child has ended, how long to wait for the end of its output, which others may hold open (a program that the
  // child left behind). Then what has come is all.
  Duration linger = Duration::max();
  // On cancel, and after other failures: between asking the child to end and killing it.
  Duration grace = std::chrono::seconds(5);
};

struct ProcessOutput {
  ExitStatus status;
  std::string output;
  std::string errors;
};

class Process {
 public:
  // Returns once the program runs. The error says which step failed, and on what: redirect ("descriptor 5"), change
  // directory, execute (no_such_file_or_directory, permission_denied, executable_format_error ...), spawn process.
  // After an error, or a cancel, there is no child. `command` must live until then.
  [[nodiscard]] static Task<Result<Process>> start(const Command& command);
  static Task<Result<Process>> start(const Command&& command) = delete;
  // Starts a program, communicates with it, and waits for its end. What is inherited in `command` of input, output and
  // errors is piped instead. A status other than 0 is not an error. Errors: those of start() and communicate().
  [[nodiscard]] static Task<Result<ProcessOutput>> run(const Command& command, std::string_view input = {},
                                                       CommunicateOptions options = {});
  static Task<Result<ProcessOutput>> run(const Command&& command, std::string_view input = {},
                                         CommunicateOptions options = {}) = delete;

  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  // Kills a child that runs. Precondition: no task waits for it.
  ~Process();

  // Of the process; another may be given it after the end. Use signal().
  std::int64_t id() const noexcept;

  // Open if they are piped (Command::input and so on).
  ProcessPipe& input() noexcept { return input_; }
  ProcessPipe& output() noexcept { return output_; }
  ProcessPipe& errors() noexcept { return errors_; }

  // Waits for the child's end, whoever holds its pipes. Any number of tasks, at any time, also afterwards. A cancel ends
  // only the wait. Errors: cancelled, timed_out; no_child_process.
  [[nodiscard]] Task<Result<ExitStatus>> wait();
  // The status if the child is known to have ended.
  std::optional<Result<ExitStatus>> status() const noexcept;

  // Errors: no_such_process once it has ended; operation_not_permitted; invalid_argument.
  Result<void> signal(int number) noexcept;
  Result<void> terminate() noexcept;  // SIGTERM
  Result<void> kill() noexcept;       // SIGKILL
  // To the child's own group (Command::group()): to the child and the programs that it has started, also when only they are
  // left. stop() and the destructor end the child alone. (On Windows as signal(), and not after the child's end.)
  // Errors: no_such_process once nobody is left; operation_not_permitted; invalid_argument if it has no group of its own.
  Result<void> signal_group(int number) noexcept;
  // Asks it to end; after `grace`, kills it; waits for the end. Not cancellable, but bounded by `grace` and 10 s.
  [[nodiscard]] Task<Result<ExitStatus>> stop(Duration grace = std::chrono::seconds(5));
  // The child is no longer this object's: it runs on, and the reactor reaps it. Returns its number.
  std::int64_t detach() noexcept;

  // Writes `bytes` to the input and closes it, collects output and errors to their ends, all at once, and waits for the
  // child's end. That the child does not read all its input is no error. When it is cancelled, or fails otherwise, the
  // child is stopped and has ended when this returns. Errors: cancelled, timed_out; limit_exceeded; those of reading.
  [[nodiscard]] Task<Result<ProcessOutput>> communicate(std::string_view bytes = {},
                                                        CommunicateOptions options = {});
  // The same; what has come is in `result` also after an error.
  [[nodiscard]] Task<Result<void>> communicate_into(ProcessOutput& result, std::string_view bytes = {},
                                                    CommunicateOptions options = {});

 private:
  explicit Process(detail::ChildWatch& watch) noexcept : watch_(&watch) {}
  void drop() noexcept;
  Task<Result<void>> transfer(ProcessOutput& result, std::string_view bytes, std::size_t output_max);

  detail::ChildWatch* watch_;
  ProcessPipe input_;
  ProcessPipe output_;
  ProcessPipe errors_;
};

}  // namespace gyre
