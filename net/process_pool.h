// ProcessPool: runs functions of this program in other processes, for work that must be isolated or use all CPUs.
//
//   int main() {
//     gyre::ProcessPool::serve_if_worker();                        // a worker never gets further
//     return gyre::run(program()) ? 0 : 1;
//   }
//   std::unique_ptr<ProcessPool> pool = ...ProcessPool::create()
//   Result<std::uint64_t> value = co_await pool->call<fibonacci>(40);
//
// A worker is this program, executed anew, and not a fork: it inherits nothing but its socket, however many threads and
// whatever locks the parent has at that moment. It takes one call at a time and lives until the pool goes. Functions need
// no registration: call<function> puts `function` on a list that the worker's copy of the program has, too.
// Arguments and results travel as bytes (net/process_values.h). An exception in the function becomes child_failed, with
// its text as the error's place.
//
// A worker that crashes or exits makes its call fail (child_failed, "killed by signal 11"), and is replaced by the next.
// A cancelled call that runs kills its worker, and one that waits has not happened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <gyre/net/process_values.h>
#include <gyre/platform/clock.h>
#include <gyre/platform/compiler.h>
#include <gyre/platform/result.h>
#include <gyre/task/join_handle.h>
#include <gyre/task/semaphore.h>
#include <gyre/task/task.h>

namespace gyre {

struct ProcessPoolOptions {
  std::size_t workers = 0;        // processes at most, started when needed; 0: one per CPU
  std::size_t queue_max = 1024;   // calls that wait for a worker; the next one is refused
  std::size_t message_max = std::size_t{64} << 20;  // bytes of the arguments, and of the result, of one call
  Duration start_limit = std::chrono::seconds(10);  // from the start of a worker to its first word
  Duration grace = std::chrono::seconds(5);         // at shutdown, between asking a worker to end and killing it
  std::string program{};  // empty: the one that runs
};

struct ProcessPoolStats {
  std::uint64_t calls = 0;            // that a worker has answered
  std::uint64_t workers_started = 0;
  std::uint64_t workers_lost = 0;     // crashed, or killed by a cancel
};

namespace detail {

// A function that a worker may be asked for. One static object each, on a list that is complete before main().
struct WorkerFunction {
  enum class Outcome : std::uint32_t { value, exception, unknown_function, malformed_arguments, result_too_long };
  using Run = Outcome (*)(std::string_view arguments, std::string& result);

  // `name` tells it from all others, and is the same in every process of one program.
  WorkerFunction(std::string_view name, Run function) noexcept;
  WorkerFunction(const WorkerFunction&) = delete;
  WorkerFunction& operator=(const WorkerFunction&) = delete;

  std::uint64_t id;
  Run run;
  const WorkerFunction* next;
};

template <typename Function>
struct Signature;
template <typename R, typename... Arguments>
struct Signature<R (*)(Arguments...)> {
  using Returned = R;
  using Sent = std::tuple<sent_as<Arguments>...>;
};
template <typename R, typename... Arguments>
struct Signature<R (*)(Arguments...) noexcept> : Signature<R (*)(Arguments...)> {};

template <auto function>
struct Registered {
  using Type = Signature<decltype(function)>;

  static WorkerFunction::Outcome run(std::string_view arguments, std::string& result) {
    typename Type::Sent values;
    if (!from_bytes(arguments, values)) return WorkerFunction::Outcome::malformed_arguments;
    if constexpr (std::is_void_v<typename Type::Returned>) {
      std::apply(function, std::move(values));
    } else {
      result = to_bytes(std::apply(function, std::move(values)));
    }
    return WorkerFunction::Outcome::value;
  }
  // The compiler's name of this function is the template's, and so names `function` and its type.
  static std::string_view name() noexcept { return GYRE_FUNCTION_SIGNATURE; }

  static inline const WorkerFunction entry{name(), run};
};

}  // namespace detail

class ProcessPool {
 public:
  // The first statement of main(): in a worker it serves the pool, and then exits; else it does nothing.
  static void serve_if_worker();

  // Must be called inside a task; the pool is that reactor's. Starts nothing yet. Errors: operation_not_permitted in a
  // worker that has not called serve_if_worker() (it would start workers without end).
  static Result<std::unique_ptr<ProcessPool>> create(ProcessPoolOptions options = {});
  ProcessPool(const ProcessPool&) = delete;
  ProcessPool& operator=(const ProcessPool&) = delete;
  // Kills the workers. Precondition: no call is in flight.
  ~ProcessPool();

  // Runs `function(arguments...)`, a function of this program, in a worker. A function that returns a Result keeps its
  // type. Errors: child_failed; limit_exceeded (the queue, or the size of a message); stopped; those of starting a
  // process; cancelled, timed_out; and the function's own.
  template <auto function, typename... Arguments>
  [[nodiscard]] auto call(Arguments&&... arguments) {
    using Type = detail::Signature<decltype(function)>;
    // Converted here, so that the task refers to nothing of the caller's.
    const typename Type::Sent sent(std::forward<Arguments>(arguments)...);
    return answer<typename Type::Returned>(detail::Registered<function>::entry.id, detail::to_bytes(sent));
  }

  // Refuses further calls (stopped), those that wait too, waits for those that run, and ends the workers: each within the
  // grace, or it is killed. A cancel makes it kill at once.
  [[nodiscard]] Task<Result<void>> shutdown();

  const ProcessPoolStats& stats() const noexcept { return stats_; }

 private:
  struct Worker;

  explicit ProcessPool(ProcessPoolOptions options, std::uint32_t workers) noexcept;

  template <typename R>
  Task<detail::as_result<R>> answer(std::uint64_t function, std::string request) {
    Result<std::string> bytes = co_await exchange(function, std::move(request));
    if (!bytes) co_return bytes.error();
    if constexpr (std::is_void_v<R>) {
      co_return Result<void>{};
    } else {
      detail::as_result<R> result = Errc::malformed;
      if constexpr (is_result<R>) {
        if (!detail::from_bytes(*bytes, result)) co_return Error(Errc::malformed, OperationKind::offload);
      } else {
        R value{};
        if (!detail::from_bytes(*bytes, value)) co_return Error(Errc::malformed, OperationKind::offload);
        result = std::move(value);
      }
      co_return result;
    }
  }
  Task<Result<std::string>> exchange(std::uint64_t function, std::string request);
  Task<Result<std::string>> exchange_with(Worker& worker, std::uint64_t function, const std::string& request);
  Task<Result<std::unique_ptr<Worker>>> start_worker();
  Task<Error> lose(std::unique_ptr<Worker> worker, Error error);

  const ProcessPoolOptions options_;
  const std::uint32_t workers_;
  Semaphore free_;
  std::size_t waiting_ = 0;
  bool is_stopping_ = false;
  std::vector<std::unique_ptr<Worker>> idle_;
  ProcessPoolStats stats_;
};

}  // namespace gyre
