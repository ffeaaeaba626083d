#include <gyre/net/process_pool.h>

#include <array>
#include <cstdlib>
#include <exception>
#include <span>

#include <gyre/net/process.h>
#include <gyre/net/stream.h>
#include <gyre/platform/process.h>
#include <gyre/platform/socket.h>
#include <gyre/platform/thread.h>
#include <gyre/platform/worker_process.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/cancel_scope.h>
#include <gyre/task/timeout.h>

namespace gyre {

namespace {

// What a worker says first.
constexpr std::uint64_t hello = 0x6779726520706f6fU;
// How long a worker that is known to be dead or was killed may take to end.
constexpr Duration killed_limit = std::chrono::seconds(10);

struct RequestHeader {
  std::uint64_t function = 0;
  std::uint64_t size = 0;
};
struct ResponseHeader {
  detail::WorkerFunction::Outcome outcome = detail::WorkerFunction::Outcome::value;
  std::uint32_t unused = 0;
  std::uint64_t size = 0;
};

// The functions of this program. Filled before main(), only read afterwards.
constinit const detail::WorkerFunction* first_function = nullptr;

const detail::WorkerFunction* find_function(std::uint64_t id) noexcept {
  for (const detail::WorkerFunction* entry = first_function; entry != nullptr; entry = entry->next) {
    if (entry->id == id) return entry;
  }
  return nullptr;
}

// FNV-1a.
std::uint64_t hash_of(std::string_view name) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

detail::WorkerFunction::Outcome run_function(const detail::WorkerFunction* function, std::string_view arguments,
                                             std::string& result) {
  using Outcome = detail::WorkerFunction::Outcome;
  if (function == nullptr) return Outcome::unknown_function;
  GYRE_TRY(return function->run(arguments, result);)
  GYRE_CATCH(const std::exception& exception, result = exception.what(); return Outcome::exception;)
  GYRE_CATCH(..., result = "an exception"; return Outcome::exception;)
}

// Until the pool closes the line.
void serve(NativeDescriptor socket) {
  if (!write_whole(socket, &hello, sizeof(hello))) return;
  std::string arguments;
  std::string result;
  for (;;) {
    RequestHeader request;
    if (!read_whole(socket, &request, sizeof(request))) return;
    arguments.resize(static_cast<std::size_t>(request.size));
    if (!read_whole(socket, arguments.data(), arguments.size())) return;
    result.clear();
    ResponseHeader response;
    response.outcome = run_function(find_function(request.function), arguments, result);
    response.size = result.size();
    if (!write_whole(socket, &response, sizeof(response))) return;
    if (!write_whole(socket, result.data(), result.size())) return;
  }
}

template <typename T>
std::span<const std::byte> bytes_of(const T& object) noexcept {
  return std::as_bytes(std::span(&object, 1));
}

class WorkerStream : public Stream {
 public:
  static Result<WorkerStream> adopt(UniqueFd socket) {
    Poller& poller = this_reactor().poller();
    const Result<Descriptor*> descriptor = poller.attach(std::move(socket), DescriptorKind::socket);
    if (!descriptor) return descriptor.error();
    return WorkerStream(poller, **descriptor);
  }

 private:
  WorkerStream(Poller& poller, Descriptor& descriptor) noexcept : Stream(poller, descriptor) {}
};

Error call_failed(std::string_view why) noexcept {
  return Error(Errc::child_failed, OperationKind::offload).at(Place::text(why));
}

}  // namespace

detail::WorkerFunction::WorkerFunction(std::string_view name, Run function) noexcept
    : id(hash_of(name)), run(function), next(first_function) {
  GYRE_CHECK_HINT(find_function(id) == nullptr,
                  "two functions for process pools have one name (in unnamed namespaces?): rename one");
  first_function = this;
}

struct ProcessPool::Worker {
  Process process;
  WorkerStream stream;
};

void ProcessPool::serve_if_worker() {
  UniqueFd socket = take_worker_socket();
  if (!socket) return;
  serve(socket.get());
  std::exit(0);
}

ProcessPool::ProcessPool(ProcessPoolOptions options, std::uint32_t workers) noexcept
    : options_(std::move(options)), workers_(workers), free_(workers) {}

ProcessPool::~ProcessPool() {
  GYRE_CHECK_HINT(waiting_ == 0, "calls of the process pool are in flight");
}

Result<std::unique_ptr<ProcessPool>> ProcessPool::create(ProcessPoolOptions options) {
  if (is_worker_process()) {
    return Error::system(static_cast<int>(std::errc::operation_not_permitted), OperationKind::spawn_process)
        .at(Place::text("serve_if_worker()"));
  }
  const std::size_t workers = options.workers != 0 ? options.workers : count_processors();
  return std::unique_ptr<ProcessPool>(new ProcessPool(std::move(options), static_cast<std::uint32_t>(workers)));
}

Task<Result<std::unique_ptr<ProcessPool::Worker>>> ProcessPool::start_worker() {
  Result<DescriptorPair> ends = open_socket_pair(SocketType::stream);
  if (!ends) co_return ends.error();
  Command command(options_.program.empty() ? current_program() : options_.program);
  command.input(Stdio::null()).descriptor(worker_descriptor, ends->second.get());
  command.variable(worker_variable, "1");
  // Elsewhere an orphan ends when it has finished its call and finds its line closed.
  if (can_die_with_parent()) command.dies_with_parent();
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  ends->second.reset();
  Result<WorkerStream> stream = WorkerStream::adopt(std::move(ends->first));
  if (!stream) co_return stream.error();
  ++stats_.workers_started;
  std::unique_ptr<Worker> worker(new Worker{std::move(*process), std::move(*stream)});

  std::uint64_t word = 0;
  Task<Result<void>> reading = worker->stream.read_exactly(std::as_writable_bytes(std::span(&word, 1)));
  const Result<void> said = co_await with_timeout(options_.start_limit, std::move(reading));
  if (said && word == hello) co_return worker;
  if (!said && said.error().is_cancelled()) co_return said.error();
  const Error error = call_failed("does its main() call serve_if_worker()?");
  co_return co_await lose(std::move(worker), error);
}

// What has come of a worker that can no longer be used: `error`, unless it has ended by itself.
Task<Error> ProcessPool::lose(std::unique_ptr<Worker> worker, Error error) {
  ++stats_.workers_lost;
  CancelScope shielded(CancelScopeOptions{.shielded = true});
  // A crash closes the line while the process dies; its status is not changed by a signal that comes later.
  static_cast<void>(worker->process.kill());
  Task<Result<ExitStatus>> waiting = worker->process.wait();
  const Result<ExitStatus> status = co_await with_timeout(killed_limit, std::move(waiting));
  const bool was_cancelled = error.is_cancelled() || error.is_timed_out();
  if (status && !was_cancelled && error != Errc::limit_exceeded) error = call_failed(status->to_string());
  co_return error;
}

Task<Result<std::string>> ProcessPool::exchange(std::uint64_t function, std::string request) {
  if (is_stopping_) co_return Error(Errc::stopped, OperationKind::offload);
  if (request.size() > options_.message_max) co_return Error(Errc::limit_exceeded, OperationKind::offload);
  if (waiting_ >= workers_ + options_.queue_max) {
    co_return Error(Errc::limit_exceeded, OperationKind::offload);
  }
  struct Counted {
    std::size_t& count;
    explicit Counted(std::size_t& c) noexcept : count(c) { ++count; }
    ~Counted() { --count; }
  };
  const Counted counted(waiting_);
  const Result<Permits> permit = co_await free_.acquire();
  if (!permit) co_return permit.error().with(OperationKind::offload);
  if (is_stopping_) co_return Error(Errc::stopped, OperationKind::offload);

  std::unique_ptr<Worker> worker;
  while (worker == nullptr && !idle_.empty()) {
    worker = std::move(idle_.back());
    idle_.pop_back();
    // Killed while it had nothing to do.
    if (worker->process.status()) {
      ++stats_.workers_lost;
      worker.reset();
    }
  }
  if (worker == nullptr) {
    Result<std::unique_ptr<Worker>> started = co_await start_worker();
    if (!started) co_return started.error();
    worker = std::move(*started);
  }
  Result<std::string> answered = co_await exchange_with(*worker, function, request);
  if (!answered && answered.error().operation() != OperationKind::offload) {
    const Error error = answered.error().with(OperationKind::offload);
    co_return co_await lose(std::move(worker), error);
  }
  ++stats_.calls;
  idle_.push_back(std::move(worker));
  co_return answered;
}

// An error of the operation `offload` is the function's, and the worker is fit for the next call.
Task<Result<std::string>> ProcessPool::exchange_with(Worker& worker, std::uint64_t function,
                                                     const std::string& request) {
  using Outcome = detail::WorkerFunction::Outcome;
  const RequestHeader header{.function = function, .size = request.size()};
  const Result<void> asked = co_await worker.stream.write_all(bytes_of(header));
  if (!asked) co_return asked.error();
  const Result<void> sent = co_await worker.stream.write_all(std::as_bytes(std::span(request)));
  if (!sent) co_return sent.error();
  ResponseHeader response;
  const Result<void> told = co_await worker.stream.read_exactly(std::as_writable_bytes(std::span(&response, 1)));
  if (!told) co_return told.error();
  if (response.size > options_.message_max) co_return Error(Errc::limit_exceeded, OperationKind::read);
  std::string bytes(static_cast<std::size_t>(response.size), '\0');
  const Result<void> received = co_await worker.stream.read_exactly(std::as_writable_bytes(std::span(bytes)));
  if (!received) co_return received.error();
  switch (response.outcome) {
    case Outcome::value: break;
    case Outcome::exception: co_return call_failed(bytes);
    case Outcome::unknown_function: co_return call_failed("no such function");
    default: co_return call_failed("malformed arguments");
  }
  co_return bytes;
}

Task<Result<void>> ProcessPool::shutdown() {
  is_stopping_ = true;
  const Result<Permits> all = co_await free_.acquire(workers_);
  std::vector<std::unique_ptr<Worker>> workers = std::move(idle_);
  idle_.clear();
  for (const std::unique_ptr<Worker>& worker : workers) static_cast<void>(worker->stream.shutdown());
  if (!all) co_return all.error().with(OperationKind::offload);
  const Instant deadline = current_task()->scheduler().now() + options_.grace;
  Result<void> result;
  for (const std::unique_ptr<Worker>& worker : workers) {
    Task<Result<ExitStatus>> waiting = worker->process.wait();
    const Result<ExitStatus> ended = co_await with_deadline(deadline, std::move(waiting));
    if (ended || !ended.error().is_timed_out()) continue;
    const Result<ExitStatus> killed = co_await worker->process.stop(Duration(0));
    if (!killed) result = killed.error();
  }
  const Result<void> checked = co_await checkpoint();
  if (!checked) co_return checked.error();
  co_return result;
}

}  // namespace gyre
