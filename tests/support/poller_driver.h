// PollerDriver: starts operations on a poller, records what becomes of them, and turns it with a bound.
//
// It checks the clauses of the contract that hold at every moment: exactly one terminal completion (C1), no completion
// inside start() or cancel() (C4), no early return of wait() (C9), and wait()'s count of what it delivered.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gyre/platform/clock.h>
#include <gyre/platform/operation.h>
#include <gyre/platform/poller.h>

namespace gyre::test {

class PollerDriver;

// The result of a request that is not finished; no operation has it.
inline constexpr std::int64_t unfinished = std::numeric_limits<std::int64_t>::min();

// One operation, its arguments, all that they point to, and what became of it. Lives as long as its driver.
class Request {
 public:
  bool done() const { return starts > 0 && terminals == starts; }
  // The bytes that a receive or a read has brought.
  std::string_view text() const {
    return std::string_view(data).substr(0, result > 0 ? static_cast<std::size_t>(result) : 0);
  }
  // As text(), of a vectored receive.
  std::string scattered_text() const;
  Message& message(std::size_t index = 0) { return messages[index]; }

  // `hook(request)` runs at each completion, inside it. (After an inline completion it runs at the next turn.)
  template <typename F>
  void then(F hook) {
    hook_ = std::make_unique<HookOf<F>>(std::move(hook));
  }

  Operation operation;

  // Arguments: they go into the operation at each start, for the poller may overwrite them there.
  OperationKind kind = OperationKind::none;
  Descriptor* descriptor = nullptr;
  void* argument = nullptr;
  std::size_t size = 0;
  std::int64_t offset = 0;
  std::uint16_t flags = 0;

  // Memory for the arguments.
  std::string data;  // what is sent, or received
  std::vector<std::string> pieces;
  std::vector<IoSlice> slices;
  std::vector<Message> messages;
  std::vector<SocketAddress> addresses;
  std::vector<std::string> controls;
  SocketAddress address;

  // What became of it.
  std::int64_t result = unfinished;    // of the latest completion
  std::vector<std::int64_t> results;   // of all completions
  bool was_inline = false;             // the latest start() answered "done now"
  int starts = 0;
  int terminals = 0;
  std::vector<UniqueFd> descriptors;   // accepted or opened
  std::vector<void*> lent;             // lent buffers that are kept
  bool keep_lent = false;              // else they go back at once

 private:
  friend class PollerDriver;
  struct Hook {
    virtual ~Hook() = default;
    virtual void run(Request& request) = 0;
  };
  template <typename F>
  struct HookOf final : Hook {
    explicit HookOf(F f) : call(std::move(f)) {}
    void run(Request& request) override { call(request); }
    F call;
  };

  PollerDriver* driver_ = nullptr;
  std::unique_ptr<Hook> hook_;
};

class PollerDriver {
 public:
  explicit PollerDriver(std::unique_ptr<Poller> poller);
  PollerDriver(const PollerDriver&) = delete;
  PollerDriver& operator=(const PollerDriver&) = delete;
  // Ends everything and checks the oracles: each request done, nothing in flight, no spin.
  ~PollerDriver();

  Poller& poller() { return *poller_; }

  // A failure to attach is a test failure.
  Descriptor& attach(UniqueFd fd, DescriptorKind kind = DescriptorKind::socket);
  // Null, and `*error` says why: a failure that a test has injected.
  Descriptor* try_attach(UniqueFd fd, DescriptorKind kind, Error* error);
  UniqueFd detach(Descriptor& descriptor);
  void close_now(Descriptor& descriptor);

  // A request that is not started yet.
  Request& make(OperationKind kind, Descriptor* descriptor);
  // True: done inside start().
  bool start(Request& request);
  void cancel(Request& request);

  // make() and start() in one.
  Request& plain(OperationKind kind, Descriptor& descriptor, std::uint16_t flags = 0);
  Request& receive(Descriptor& descriptor, std::size_t size, std::uint16_t flags = 0);
  Request& send(Descriptor& descriptor, std::string_view text, std::uint16_t flags = 0);
  Request& receive_vector(Descriptor& descriptor, const std::vector<std::size_t>& sizes);
  Request& send_vector(Descriptor& descriptor, const std::vector<std::string>& pieces);
  Request& accept(Descriptor& listener, std::uint16_t flags = 0);
  Request& connect(Descriptor& descriptor, const SocketAddress& address);
  Request& receive_lent(Descriptor& descriptor, std::uint16_t flags = 0);
  Request& read_at(Descriptor& descriptor, std::size_t size, std::int64_t offset);
  Request& write_at(Descriptor& descriptor, std::string_view text, std::int64_t offset);
  Request& open_file(const std::string& path, std::size_t open_flags, std::int64_t mode = 0600);
  Request& shutdown(Descriptor& descriptor, ShutdownSide side);
  Request& close(Descriptor& descriptor);
  Request& splice(Descriptor& to, Descriptor& from, std::size_t size);
  Request& send_file(Descriptor& to, Descriptor& file, std::int64_t offset, std::size_t size);
  // A send of a lot that waits for room; everything that fitted has been sent before.
  Request& blocked_send(Descriptor& descriptor);
  // Of a send, and of those after it while there is room after all, which may come late: the error that ends them.
  std::int64_t error_of_sends(Request& request);
  // `count` messages, each with a buffer of `size` bytes, an address, and room for `control` bytes of control data.
  Request& make_receive_messages(Descriptor& descriptor, std::size_t count, std::size_t size,
                                 std::size_t control = 0);
  Request& make_send_messages(Descriptor& descriptor, const std::vector<std::string>& texts,
                              const SocketAddress* to = nullptr);

  // One wait(), no longer than `patience`; returns the number of completions.
  std::size_t turn(Duration patience = Duration::zero());
  std::size_t turn_until(Instant deadline);
  // Turns until `done()`; a test failure after the time limit.
  template <typename Done>
  bool run_until(Done done) {
    const Instant limit = steady_clock().now() + time_limit;
    while (!done()) {
      if (steady_clock().now() >= limit) return report_hang();
      turn_until(limit);
    }
    return true;
  }
  // Turns until the request is done; its result.
  std::int64_t finish(Request& request);
  // Turns for `span`; returns the number of completions (none, where nothing was to happen).
  std::size_t quiet(Duration span = std::chrono::milliseconds(2));
  // Whether the poller sleeps through `span`, in which nothing is to be done: few system calls that nobody interrupted.
  // (A ring that an earlier test has closed interrupts the thread's waits for a while.)
  bool sleeps_through(Duration span = std::chrono::milliseconds(5));
  // System calls so far without those that were interrupted.
  std::uint64_t undisturbed_calls() const {
    const PollerStats stats = poller_->stats();
    return stats.system_calls - stats.interrupted_waits;
  }
  // Turns without sleeping until a turn brings nothing.
  void settle();

  void wake();
  // wait() may now return 0 at any time: other threads wake it.
  void expect_foreign_wakes() { foreign_wakes_ = true; }

  // Operations are started past the driver: it does not count theirs.
  void expect_foreign_operations() { foreign_operations_ = true; }

  std::size_t completions() const { return completions_; }
  std::size_t in_flight_requests() const;
  // Ends everything early; the destructor does it otherwise.
  void finish_all();
  // Forgets a descriptor that something else has closed.
  void forget(Descriptor& descriptor);
  // Gives kept buffers back, all or the oldest.
  void give_back(Request& request, std::size_t count = std::numeric_limits<std::size_t>::max());

  static constexpr Duration time_limit = std::chrono::seconds(20);

 private:
  static void on_complete(Operation& operation) noexcept;
  Request& make_receive(OperationKind kind, Descriptor& descriptor, std::size_t size);
  Request& make_send(OperationKind kind, Descriptor& descriptor, std::string_view text);
  Request& make_messages(OperationKind single, OperationKind batch, Descriptor& descriptor,
                         std::size_t count);
  void start_vector(Request& request);
  void record(Request& request);
  void run_deferred_hooks();
  bool report_hang();
  void check_oracles();

  std::unique_ptr<Poller> poller_;
  std::vector<std::unique_ptr<Request>> requests_;
  std::vector<Descriptor*> attached_;
  std::vector<Request*> deferred_;  // inline completions whose hook has not run yet
  std::size_t completions_ = 0;     // delivered by wait()
  std::size_t turns_ = 0;
  bool inside_call_ = false;  // in start() or cancel()
  bool inside_wait_ = false;
  bool woken_ = false;
  bool foreign_wakes_ = false;
  bool foreign_operations_ = false;
  bool finished_ = false;
};

}  // namespace gyre::test
