#include <gyre/net/process.h>

#include <algorithm>

#include <gyre/platform/signal_handler.h>
#include <gyre/reactor/io.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/event.h>
#include <gyre/task/task_group.h>
#include <gyre/task/timeout.h>

namespace gyre {

namespace {

constexpr int signal_kill = 9;
// A killed process ends as soon as the kernel lets it; one that hangs in a device may take for ever.
constexpr Duration killed_limit = std::chrono::seconds(10);
// The same where the reactor has gone, and the thread has to wait.
constexpr Duration killed_limit_blocking = std::chrono::seconds(1);

}  // namespace

namespace detail {

// Waits for a child's report and for its end, by itself: also when nobody awaits either, and after its Process has gone.
//
// States: watched by a Process; abandoned (then it deletes itself when both operations have ended).
class ChildWatch {
 public:
  static Result<ChildWatch*> begin(Poller& poller, const ChildProgram& program);
  ChildWatch(const ChildWatch&) = delete;
  ChildWatch& operator=(const ChildWatch&) = delete;

  // Its Process has gone; `kills`: the child must not outlive it.
  void abandon(bool kills) noexcept;
  Result<void> signal(int number) noexcept;
  Result<void> signal_group(int number) noexcept;

  Event started;
  Event ended;
  Result<void> start_result;
  std::optional<Result<ExitStatus>> status;
  std::int64_t id;

 private:
  ChildWatch(Poller& poller, ChildStart start) noexcept
      : id(start.id()), poller_(poller), start_(std::move(start)), child_(start_->take_child()) {}
  ~ChildWatch() = default;

  // The descriptor is foreign to the poller: it stays ours to close.
  Result<Descriptor*> watch(NativeDescriptor fd, void (*complete)(Operation&) noexcept);
  void wait_for(Descriptor& descriptor) noexcept;
  void unwatch(Descriptor*& descriptor) noexcept {
    static_cast<void>(poller_.detach(*std::exchange(descriptor, nullptr)).release());
  }
  static void on_report(Operation& operation) noexcept;
  static void on_end(Operation& operation) noexcept;
  void note_start() noexcept;
  void set_status(Result<ExitStatus> result) noexcept;
  // The reactor has shut down, or nothing can be watched.
  void end_without_poller() noexcept;
  void delete_if_done() noexcept {
    if (is_abandoned_ && report_ == nullptr && end_ == nullptr) delete this;
  }

  Poller& poller_;
  std::optional<ChildStart> start_;  // until the child has left our memory
  ChildHandle child_;
  Descriptor* report_ = nullptr;  // while watched
  Descriptor* end_ = nullptr;
  bool is_abandoned_ = false;
  bool is_killed_ = false;
};

Result<ChildWatch*> ChildWatch::begin(Poller& poller, const ChildProgram& program) {
  Result<ChildStart> start = ChildStart::begin(program);
  if (!start) return start.error();
  auto* const self = new ChildWatch(poller, std::move(*start));
  // On failure below the child is there already, and must go.
  const bool has_reported = self->start_->report() == no_descriptor;
  const Result<Descriptor*> report =
      has_reported ? Result<Descriptor*>(nullptr) : self->watch(self->start_->report(), on_report);
  if (report) self->report_ = *report;
  const Result<Descriptor*> end = report ? self->watch(self->child_.pidfd.get(), on_end) : report;
  if (!end) {
    if (self->report_ != nullptr) self->unwatch(self->report_);
    const Error error = end.error().with(OperationKind::spawn_process);
    self->is_abandoned_ = true;
    static_cast<void>(self->signal(signal_kill));
    self->end_without_poller();
    delete self;
    return error;
  }
  self->end_ = *end;
  self->wait_for(*self->end_);
  if (has_reported) {
    self->note_start();
  } else {
    self->wait_for(*self->report_);
  }
  return self;
}

Result<Descriptor*> ChildWatch::watch(NativeDescriptor fd, void (*complete)(Operation&) noexcept) {
  Result<Descriptor*> attached = poller_.attach(UniqueFd(fd), DescriptorKind::foreign);
  if (!attached) return attached;
  Operation& operation = (*attached)->input;
  operation.kind = OperationKind::readable;
  operation.flags = operation_no_inline;
  operation.complete = complete;
  operation.owner = this;
  return attached;
}

// The last thing that a callback does: start() answers at once if the poller is shutting down.
void ChildWatch::wait_for(Descriptor& descriptor) noexcept {
  Operation& operation = descriptor.input;
  if (poller_.start(operation)) operation.complete(operation);
}

void ChildWatch::on_report(Operation& operation) noexcept {
  auto& self = *static_cast<ChildWatch*>(operation.owner);
  const bool was_cancelled = operation.failed();
  self.unwatch(self.report_);
  if (was_cancelled) {
    self.start_result = Error::cancelled(OperationKind::spawn_process);
    self.started.set();
  } else {
    self.note_start();
  }
  self.delete_if_done();
}

void ChildWatch::note_start() noexcept {
  start_result = start_->finish();
  if (start_result) start_.reset();
  started.set();
}

void ChildWatch::on_end(Operation& operation) noexcept {
  auto& self = *static_cast<ChildWatch*>(operation.owner);
  if (operation.failed()) {
    self.unwatch(self.end_);
    self.end_without_poller();
    self.delete_if_done();
    return;
  }
  const std::optional<Result<ExitStatus>> reaped = try_reap(self.child_);
  if (!reaped) return self.wait_for(*self.end_);
  self.unwatch(self.end_);
  self.set_status(*reaped);
  self.delete_if_done();
}

void ChildWatch::set_status(Result<ExitStatus> result) noexcept {
  status = result;
  // What a child that has ended by itself leaves behind lives on; what a killed one does, where there are jobs, not.
  if (!is_killed_) set_free(child_);
  // A group may outlive its leader; the handle reaches it.
  if (child_.group == ProcessGroup::inherited) child_ = ChildHandle();
  // A report that nobody has read yet may still be in the pipe; the memory is free all the same.
  if (start_) start_->note_end();
  ended.set();
}

void ChildWatch::end_without_poller() noexcept {
  if (!is_killed_) return;  // detached, or its Process will kill it
  const std::optional<Result<ExitStatus>> reaped = reap_within(child_, killed_limit_blocking);
  if (reaped) set_status(*reaped);
}

Result<void> ChildWatch::signal(int number) noexcept {
  if (status) return Error::system(static_cast<int>(std::errc::no_such_process), OperationKind::signal);
  if (number == signal_kill) is_killed_ = true;
  return send_signal(child_, number);
}

Result<void> ChildWatch::signal_group(int number) noexcept {
  if (number == signal_kill) is_killed_ = true;
  return send_group_signal(child_, number);
}

void ChildWatch::abandon(bool kills) noexcept {
  is_abandoned_ = true;
  if (!kills) set_free(child_);
  if (kills && !status) static_cast<void>(signal(signal_kill));
  if (!status && end_ == nullptr) end_without_poller();
  delete_if_done();
}

}  // namespace detail

Command Command::shell(std::string line) {
  std::vector<std::string> words = shell_command(std::move(line));
  Command command(std::move(words.front()));
  for (std::size_t i = 1; i < words.size(); ++i) command.argument(std::move(words[i]));
  return command;
}

Command& Command::variable(std::string_view name, std::string_view value) & {
  if (!environment_) environment_ = current_environment();
  std::string entry(name);
  entry += '=';
  std::erase_if(*environment_, [&](const std::string& other) { return other.starts_with(entry); });
  entry += value;
  environment_->push_back(std::move(entry));
  return *this;
}

Result<ProcessPipe> ProcessPipe::adopt(UniqueFd fd) {
  Poller& poller = this_reactor().poller();
  const Result<Descriptor*> descriptor = poller.attach(std::move(fd), DescriptorKind::stream);
  if (!descriptor) return descriptor.error();
  return ProcessPipe(poller, **descriptor);
}

namespace {

// The child's standard streams while it is started: the ends that are its own are closed here afterwards.
struct StandardStreams {
  std::vector<UniqueFd> of_child;
  std::vector<ChildDescriptor> descriptors;

  void give(int target, UniqueFd fd) {
    descriptors.push_back({target, fd.get()});
    of_child.push_back(std::move(fd));
  }
};

Result<void> give_pipe(StandardStreams& streams, int target, ProcessPipe& ours) {
  Result<ChildPipe> ends = open_child_pipe(target == 0 ? ChildPipeEnd::child_reads : ChildPipeEnd::child_writes);
  if (!ends) return ends.error();
  Result<ProcessPipe> pipe = ProcessPipe::adopt(std::move(ends->ours));
  if (!pipe) return pipe.error();
  ours = std::move(*pipe);
  streams.give(target, std::move(ends->of_child));
  return {};
}

// The step is the error's operation; what it is about, unless the step knows better, is the program.
Error with_program(const Error& error, std::string_view program) noexcept {
  return error.place() != Place() ? error : error.at(Place::text(program));
}

}  // namespace

Task<Result<Process>> Process::start(const Command& command) {
  const Result<void> checked = co_await checkpoint();
  if (!checked) co_return checked.error().with(OperationKind::spawn_process);

  ProcessPipe pipes[3];
  StandardStreams streams;
  const Stdio standard[3] = {command.input_, command.output_, command.errors_};
  for (int target = 0; target < 3; ++target) {
    const Stdio& stdio = standard[target];
    Result<void> given;
    switch (stdio.kind_) {
      case Stdio::Kind::inherited: break;
      case Stdio::Kind::descriptor: streams.descriptors.push_back({target, stdio.fd_}); break;
      case Stdio::Kind::piped: given = give_pipe(streams, target, pipes[target]); break;
      case Stdio::Kind::as_output: {
        NativeDescriptor output = 1;
        for (const ChildDescriptor& entry : streams.descriptors) {
          if (entry.target == 1) output = entry.source;
        }
        streams.descriptors.push_back({target, output});
        break;
      }
      case Stdio::Kind::null: {
        Result<UniqueFd> null = open_null_device();
        if (!null) given = null.error();
        if (null) streams.give(target, std::move(*null));
        break;
      }
    }
    if (!given) co_return with_program(given.error(), command.program_);
  }

  ChildProgram program;
  program.environment = command.environment_ ? *command.environment_ : current_environment();
  program.paths = program_paths(command.program_, program.environment);
  program.arguments.push_back(command.program_);
  program.arguments.insert(program.arguments.end(), command.arguments_.begin(), command.arguments_.end());
  program.directory = command.directory_;
  program.descriptors = std::move(streams.descriptors);
  program.descriptors.insert(program.descriptors.end(), command.descriptors_.begin(), command.descriptors_.end());
  program.group = command.group_;
  program.dies_with_parent = command.dies_with_parent_;

  const Result<detail::ChildWatch*> begun = detail::ChildWatch::begin(this_reactor().poller(), program);
  if (!begun) co_return with_program(begun.error(), command.program_);
  streams.of_child.clear();
  Process process(**begun);
  const Result<void> waited = co_await process.watch_->started.wait();
  if (!waited || !process.watch_->start_result) {
    const Error error = waited ? process.watch_->start_result.error() : waited.error().with(OperationKind::spawn_process);
    static_cast<void>(process.kill());
    CancelScope shielded(CancelScopeOptions{.shielded = true});
    shielded.reschedule(current_task()->scheduler().now() + killed_limit);
    static_cast<void>(co_await process.watch_->ended.wait());
    co_return error;
  }
  process.input_ = std::move(pipes[0]);
  process.output_ = std::move(pipes[1]);
  process.errors_ = std::move(pipes[2]);
  co_return process;
}

Process::Process(Process&& other) noexcept
    : watch_(std::exchange(other.watch_, nullptr)),
      input_(std::move(other.input_)),
      output_(std::move(other.output_)),
      errors_(std::move(other.errors_)) {}

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    drop();
    watch_ = std::exchange(other.watch_, nullptr);
    input_ = std::move(other.input_);
    output_ = std::move(other.output_);
    errors_ = std::move(other.errors_);
  }
  return *this;
}

Process::~Process() { drop(); }

void Process::drop() noexcept {
  if (watch_ != nullptr) std::exchange(watch_, nullptr)->abandon(true);
}

std::int64_t Process::detach() noexcept {
  const std::int64_t number = id();
  std::exchange(watch_, nullptr)->abandon(false);
  return number;
}

std::int64_t Process::id() const noexcept { return watch_->id; }

std::optional<Result<ExitStatus>> Process::status() const noexcept { return watch_->status; }

Result<void> Process::signal(int number) noexcept { return watch_->signal(number); }
Result<void> Process::terminate() noexcept { return signal(signal_terminate); }
Result<void> Process::kill() noexcept { return signal(signal_kill); }
Result<void> Process::signal_group(int number) noexcept { return watch_->signal_group(number); }

Task<Result<ExitStatus>> Process::wait() {
  detail::ChildWatch& watch = *watch_;
  const Result<void> waited = co_await watch.ended.wait();
  if (!waited) co_return waited.error().with(OperationKind::wait_process);
  co_return *watch.status;
}

Task<Result<ExitStatus>> Process::stop(Duration grace) {
  CancelScope shielded(CancelScopeOptions{.shielded = true});
  // Whom nobody can ask needs no time to answer.
  if (!terminate()) grace = Duration(0);
  Task<Result<ExitStatus>> ending = wait();
  const Result<ExitStatus> ended = co_await with_timeout(grace, std::move(ending));
  if (ended || !ended.error().is_timed_out()) co_return ended;
  static_cast<void>(kill());
  Task<Result<ExitStatus>> dying = wait();
  co_return co_await with_timeout(killed_limit, std::move(dying));
}

namespace {

// Whether the other side has closed: no failure for who writes to a child.
bool is_hung_up(const Error& error) noexcept {
  return error == std::errc::broken_pipe || error == std::errc::connection_reset;
}

Task<Result<void>> feed(ProcessPipe& input, std::string_view bytes) {
  const Result<void> sent = co_await input.write_all(std::as_bytes(std::span(bytes)));
  input.close_now();
  if (!sent && !is_hung_up(sent.error())) co_return sent.error();
  co_return Result<void>{};
}

Task<Result<void>> collect(ProcessPipe& from, std::string& into, std::size_t size_max) {
  for (;;) {
    const Result<LentBytes> received = co_await from.receive();
    if (!received) co_return received.error();
    if (received->empty()) co_return Result<void>{};
    const std::size_t room = size_max - into.size();
    into.append(reinterpret_cast<const char*>(received->bytes().data()), std::min(room, received->size()));
    if (received->size() > room) co_return Error(Errc::limit_exceeded, OperationKind::read);
  }
}

// Ends the transfer once the child has ended and `linger` has passed.
Task<Result<void>> hang_up(Process& process, Duration linger, JoinHandle<Result<void>>& transfer,
                           bool& has_lingered) {
  const Result<ExitStatus> ended = co_await process.wait();
  if (!ended && ended.error() != std::errc::no_child_process) co_return Result<void>{};
  const Result<void> slept = co_await sleep(linger);
  if (slept && transfer) {
    has_lingered = true;
    transfer.cancel();
  }
  co_return Result<void>{};
}

}  // namespace

// In one task, so that a cancel of it reaches the three.
Task<Result<void>> Process::transfer(ProcessOutput& result, std::string_view bytes, std::size_t output_max) {
  TaskGroup group;
  if (input_.is_open()) group.spawn(feed, input_, bytes);
  if (output_.is_open()) group.spawn(collect, output_, result.output, output_max);
  if (errors_.is_open()) group.spawn(collect, errors_, result.errors, output_max);
  const Result<void> joined = co_await group.join();
  co_return joined;
}

Task<Result<void>> Process::communicate_into(ProcessOutput& result, std::string_view bytes,
                                             CommunicateOptions options) {
  TaskGroup group(OnFailure::keep_going);
  bool has_lingered = false;
  JoinHandle<Result<void>> moving = group.spawn(&Process::transfer, this, result, bytes, options.output_max);
  JoinHandle<Result<void>> ending;
  if (options.linger != Duration::max()) {
    ending = group.spawn(hang_up, *this, options.linger, moving, has_lingered);
  }
  Result<void> moved = co_await moving;
  if (ending) ending.cancel();
  static_cast<void>(co_await group.join());
  if (has_lingered) moved = Result<void>{};

  if (moved) {
    const Result<ExitStatus> ended = co_await wait();
    if (ended) result.status = *ended;
    if (ended) co_return Result<void>{};
    moved = ended.error();
  }
  if (!status()) static_cast<void>(co_await stop(options.grace));
  co_return moved;
}

Task<Result<ProcessOutput>> Process::communicate(std::string_view bytes, CommunicateOptions options) {
  ProcessOutput result;
  const Result<void> done = co_await communicate_into(result, bytes, options);
  if (!done) co_return done.error();
  co_return result;
}

Task<Result<ProcessOutput>> Process::run(const Command& command, std::string_view input,
                                         CommunicateOptions options) {
  Command piped = command;
  for (Stdio* stdio : {&piped.input_, &piped.output_, &piped.errors_}) {
    if (stdio->kind_ == Stdio::Kind::inherited) *stdio = Stdio::piped();
  }
  Result<Process> process = co_await start(piped);
  if (!process) co_return process.error();
  co_return co_await process->communicate(input, options);
}

}  // namespace gyre
