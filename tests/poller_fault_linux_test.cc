// Every system call of a poller fails, once and for long, with each error that its comment lists.
//
// Recording runs of the scenario say which calls are made, and from where. Then each site fails with each errno of
// its call: the first time, the second time and so on, and again and again. Each time: no crash, no leak, no hang; the error
// reaches who asked, or is survived; afterwards the same poller and the same process serve an echo.
//
// Some sites are reached by luck: a thread that is done makes a call to wake the poller only if that sleeps by then. They
// are walked like the others, but a run that misses one has missed nothing.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gyre/platform/fault_plan.h>

#include "support/poller_fixture.h"

namespace gyre::test {
namespace {

using sys::Fault;
using sys::FaultPlan;
using sys::FaultRule;
using sys::FaultScope;

// --- What can go wrong -----------------------------------------------------------------------------------------------

// How often a lasting failure happens. Not for ever where without the call nothing can be done at all: a kernel that
// never lets a ring be entered again, or never stops interrupting, does not exist.
enum class Lasting : std::uint8_t { for_ever, for_long, not_at_all };

struct CallFaults {
  long number;
  std::string_view name;
  Lasting lasting;
  Fault::Kind kind;
  std::vector<int> errors;  // errnos; of the kind `shorten`: lengths
};

// Per call, what its wrapper's comment lists. "Not yet" is missing on purpose (EAGAIN of data calls; ENOTCONN of
// getpeername, which is how a connection is asked whether it stands): a kernel that says so will also say when, and an
// injected answer would not. So is EPERM of epoll_ctl, which says "this is always ready", and of a socket that is a lie. Bugs (EBADF, EFAULT, ENOTSOCK) abort, as they should.
const std::vector<CallFaults>& call_faults() {
  using enum Lasting;
  constexpr auto fail = Fault::Kind::fail;
  static const std::vector<CallFaults> all = {
      {SYS_recvfrom, "recv", for_ever, fail,
       {EINTR, ECONNRESET, ETIMEDOUT, ENOTCONN, ECONNREFUSED, EHOSTUNREACH, ENOMEM}},
      {SYS_recvfrom, "recv", for_ever, Fault::Kind::shorten, {1}},
      {SYS_sendto, "send", for_ever, fail,
       {EINTR, EPIPE, ECONNRESET, ETIMEDOUT, ENOTCONN, ENOBUFS, ENOMEM, EMSGSIZE, EHOSTUNREACH}},
      {SYS_sendto, "send", for_ever, Fault::Kind::shorten, {1}},
      {SYS_recvmsg, "recvmsg", for_ever, fail,
       {EINTR, ECONNRESET, ETIMEDOUT, ENOTCONN, ECONNREFUSED, EHOSTUNREACH, ENOMEM}},
      {SYS_sendmsg, "sendmsg", for_ever, fail,
       {EINTR, EPIPE, ECONNRESET, ENOBUFS, ENOMEM, EMSGSIZE, EINVAL, EPERM, EACCES}},
      {SYS_recvmmsg, "recvmmsg", for_ever, fail, {EINTR, ECONNREFUSED, ENOMEM}},
      {SYS_recvmmsg, "recvmmsg", for_ever, Fault::Kind::shorten, {1}},
      {SYS_sendmmsg, "sendmmsg", for_ever, fail, {EINTR, ENOBUFS, ENOMEM, EMSGSIZE, EPERM, EACCES}},
      {SYS_sendmmsg, "sendmmsg", for_ever, Fault::Kind::shorten, {1}},
      {SYS_accept4, "accept4", for_ever, fail,
       {EINTR, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EPROTO, EINVAL, ENETDOWN,
        ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT}},
      {SYS_connect, "connect", for_ever, fail,
       {ECONNREFUSED, ETIMEDOUT, ENETUNREACH, EHOSTUNREACH, EADDRINUSE, EADDRNOTAVAIL, EACCES, EPERM,
        EAFNOSUPPORT, EISCONN, EINVAL, ENOENT, EPROTOTYPE, ECONNRESET}},
      {SYS_read, "read", for_ever, fail, {EINTR, EIO, EISDIR, EINVAL, ECONNRESET, ENOMEM}},
      {SYS_write, "write", for_ever, fail,
       {EINTR, EPIPE, EIO, ENOSPC, EDQUOT, EFBIG, EINVAL, ECONNRESET}},
      {SYS_readv, "readv", for_ever, fail, {EINTR, EIO, EISDIR, EINVAL, ECONNRESET, ENOMEM}},
      {SYS_readv, "readv", for_ever, Fault::Kind::shorten, {1}},
      {SYS_writev, "writev", for_ever, fail,
       {EINTR, EPIPE, EIO, ENOSPC, EDQUOT, EFBIG, EINVAL, ECONNRESET}},
      {SYS_writev, "writev", for_ever, Fault::Kind::shorten, {1}},
      {SYS_preadv2, "preadv2", for_ever, fail, {EINTR, EOPNOTSUPP, EIO, EISDIR, EINVAL, ESPIPE}},
      {SYS_preadv2, "preadv2", for_ever, Fault::Kind::shorten, {1}},
      {SYS_pwritev2, "pwritev2", for_ever, fail,
       {EINTR, EOPNOTSUPP, EIO, EINVAL, ESPIPE, ENOSPC, EDQUOT, EFBIG}},
      {SYS_splice, "splice", for_ever, fail, {EINTR, EINVAL, EPIPE, ENOMEM, ESPIPE}},
      {SYS_sendfile, "sendfile", for_ever, fail,
       {EINTR, EINVAL, EOVERFLOW, EIO, ENOMEM, EPIPE, ECONNRESET}},
      {SYS_openat, "openat", for_ever, fail,
       {EINTR, ENOENT, EACCES, EEXIST, EISDIR, ENOTDIR, ELOOP, ENAMETOOLONG, EMFILE, ENFILE, ENOSPC,
        EROFS, ETXTBSY, EINVAL, EPERM, ENOMEM, ENXIO, EOVERFLOW}},
      {437, "openat2", for_ever, fail,
       {EINTR, EAGAIN, ENOSYS, EINVAL, ENOENT, EACCES, EEXIST, EISDIR, EMFILE, ENFILE, ENOSPC, EPERM,
        ENOMEM, ELOOP}},
      {435, "clone3", for_ever, fail, {EAGAIN, ENOMEM, EPERM}},
      {SYS_close, "close", for_ever, Fault::Kind::after, {EINTR, EIO, ENOSPC, EDQUOT}},
      {SYS_shutdown, "shutdown", for_ever, fail, {ENOTCONN, EINVAL}},
      {SYS_fcntl, "fcntl", for_ever, fail, {EINTR, EPERM, EACCES}},
      {SYS_pipe2, "pipe2", for_ever, fail, {EMFILE, ENFILE}},
      {SYS_eventfd2, "eventfd", for_ever, fail, {EMFILE, ENFILE, ENOMEM}},
      {SYS_epoll_create1, "epoll_create1", for_ever, fail, {EMFILE, ENFILE, ENOMEM}},
      {SYS_epoll_ctl, "epoll_ctl", for_ever, fail, {ENOMEM, ENOSPC, ENOENT}},
      {SYS_epoll_pwait, "epoll_pwait", for_long, fail, {EINTR}},
      {441, "epoll_pwait2", for_ever, fail, {ENOSYS, EPERM}},
      {441, "epoll_pwait2", for_long, fail, {EINTR}},
      {SYS_getsockopt, "getsockopt", for_ever, fail, {ENOPROTOOPT, EOPNOTSUPP, EINVAL, ENOMEM}},
      {SYS_setsockopt, "setsockopt", for_ever, fail, {ENOPROTOOPT, EINVAL, ENOMEM}},
      {SYS_getsockname, "getsockname", for_ever, fail, {ENOBUFS}},
      {SYS_getpeername, "getpeername", for_ever, fail, {EINVAL, ENOBUFS}},
      {SYS_fstat, "fstat", for_ever, fail, {EOVERFLOW, ENOMEM}},
      {SYS_ppoll, "ppoll", for_long, fail, {EINTR, ENOMEM}},
      {362, "kqueue", for_ever, fail, {EMFILE, ENFILE, ENOMEM}},
      {363, "kevent", for_long, fail, {EINTR, ENOMEM}},
      {425, "io_uring_setup", for_ever, fail,
       {ENOSYS, EPERM, EACCES, EINVAL, ENOMEM, EMFILE, ENFILE}},
      {426, "io_uring_enter", for_long, fail, {EINTR, EAGAIN, EBUSY, ENOMEM, ETIME}},
      {427, "io_uring_register", for_ever, fail,
       {EINVAL, EBUSY, ENOMEM, EEXIST, EPERM, EOPNOTSUPP, ENXIO}},
      {SYS_mmap, "mmap", for_ever, fail, {ENOMEM, EAGAIN, EPERM, EINVAL}},
      {SYS_madvise, "madvise", for_ever, fail, {EINVAL, ENOMEM, EAGAIN}},
  };
  return all;
}

// Calls of the poller that have no errno worth injecting; every other one must be in the table.
bool cannot_fail(const FaultPlan::Reached& reached) {
  // A wake-up: the write of a number to an eventfd of our own, which knows no error but a full counter. Without it
  // nobody could ever be woken.
  const bool wakes = reached.number == SYS_write &&
                     (reached.site.find("/poller_") != std::string::npos ||
                      reached.site.find("wake") != std::string::npos);
  return wakes || reached.number == SYS_munmap || reached.number == SYS_getpid ||
         reached.number == SYS_gettid;
}

// --- The scenario ----------------------------------------------------------------------------------------------------

// One life of a poller in which each step may fail. What comes back are the errors that callers saw.
class Scenario {
 public:
  Scenario(const Backend& backend, FaultPlan& plan) : backend_(backend), plan_(plan) {}

  void run();

  bool opened() const { return opened_; }
  const std::vector<int>& errors() const { return errors_; }
  std::size_t steps_failed() const { return errors_.size(); }

 private:
  void open();
  void steps();
  void streams();
  void vectors();
  void connections();
  void datagrams();
  void lent();
  void files();
  void readiness();
  void closing();

  // The result, which is noted if it is an error.
  std::int64_t finish(Request& request);
  Descriptor* attach(UniqueFd fd, DescriptorKind kind = DescriptorKind::socket);
  void note(int error) { errors_.push_back(error); }

  const Backend& backend_;
  FaultPlan& plan_;
  std::unique_ptr<FaultScope> faults_;
  std::unique_ptr<PollerDriver> io_;
  bool opened_ = false;
  std::vector<int> errors_;
};

std::int64_t Scenario::finish(Request& request) {
  const std::int64_t result = io_->finish(request);
  if (result < 0 && result != unfinished && result != -ECANCELED) note(static_cast<int>(-result));
  return result;
}

Descriptor* Scenario::attach(UniqueFd fd, DescriptorKind kind) {
  Error error;
  Descriptor* const descriptor = io_->try_attach(std::move(fd), kind, &error);
  if (descriptor == nullptr) note(error.code());
  return descriptor;
}

void Scenario::run() {
  // Of every thread: the poller's own helper threads make calls, too.
  faults_ = std::make_unique<FaultScope>(plan_, FaultScope::Reach::every_thread);
  open();
  if (opened_) {
    steps();
    // The same poller still works once the failures have stopped.
    faults_.reset();
    io_->expect_foreign_operations();
    expect_echo(io_->poller());
    faults_ = std::make_unique<FaultScope>(plan_, FaultScope::Reach::every_thread);
    io_.reset();
  }
  faults_.reset();
}

void Scenario::open() {
  PollerOptions options;
  options.tier = backend_.tier;
  options.lent_buffers = 8;
  options.lent_buffer_size = 256;
  options.submissions_max = 16;
  Result<std::unique_ptr<Poller>> poller = open_backend(backend_, options);
  opened_ = poller.has_value();
  if (!opened_) {
    note(poller.error().code());
    return;
  }
  io_ = std::make_unique<PollerDriver>(std::move(*poller));
  io_->expect_foreign_wakes();  // a call that fails may end a wait early
}

void Scenario::steps() {
  streams();
  vectors();
  connections();
  datagrams();
  lent();
  files();
  readiness();
  closing();
}

void Scenario::streams() {
  Pair pair = tcp_pair();
  Descriptor* const near = attach(std::move(pair.near));
  if (near == nullptr) return;
  Request& parked = io_->receive(*near, 64);
  io_->turn();
  write_all(pair.far, "ping");
  finish(parked);
  const std::int64_t sent = finish(io_->send(*near, "pong"));
  if (sent > 0 && becomes_readable(raw(pair.far))) drain(pair.far);
  write_all(pair.far, "peek");
  finish(io_->receive(*near, 64, operation_peek));
  finish(io_->receive(*near, 64));
  finish(io_->shutdown(*near, ShutdownSide::write));
  pair.far.reset();
  finish(io_->receive(*near, 64));

  Pair blocked = unix_pair();
  fill(blocked.near);
  if (Descriptor* const full = attach(std::move(blocked.near))) {
    Request& send = io_->send(*full, "waits for room");
    io_->turn();
    drain(blocked.far);
    finish(send);
  }
}

void Scenario::vectors() {
  Pair pair = unix_pair();
  Descriptor* const near = attach(std::move(pair.near));
  if (near != nullptr) {
    write_all(pair.far, "scattered");
    finish(io_->receive_vector(*near, {4, 0, 64}));
    finish(io_->send_vector(*near, {"ga", "", "thered"}));
  }
  Pipe pipe = pipe_pair();
  Descriptor* const reader = attach(std::move(pipe.read_end), DescriptorKind::stream);
  Descriptor* const writer = attach(std::move(pipe.write_end), DescriptorKind::stream);
  if (reader == nullptr || writer == nullptr) return;
  for (const bool vectored : {false, true}) {
    Request& receive = vectored ? io_->receive_vector(*reader, {4, 64}) : io_->receive(*reader, 64);
    Request& send = vectored ? io_->send_vector(*writer, {"a", "b"}) : io_->send(*writer, "ab");
    if (finish(send) <= 0 && !receive.done()) io_->cancel(receive);
    finish(receive);
  }
}

void Scenario::connections() {
  Bound bound = tcp_listener();
  Descriptor* const listener = attach(std::move(bound.fd));
  if (listener == nullptr) return;
  Request& multishot = io_->accept(*listener, operation_multishot);
  Descriptor* const client = attach(tcp_socket());
  if (client != nullptr && finish(io_->connect(*client, bound.address)) == 0) {
    io_->run_until([&] { return multishot.done() || !multishot.descriptors.empty(); });
  }
  io_->cancel(multishot);
  finish(multishot);
  const UniqueFd peer = connect_to(bound.address);
  Request& accept = io_->accept(*listener);
  if (finish(accept) >= 0) attach(std::move(accept.descriptors[0]));

  const Bound refusing = refusing_tcp();
  Descriptor* const refused = attach(tcp_socket());
  if (refused != nullptr) {
    EXPECT_LT(io_->finish(io_->connect(*refused, refusing.address)), 0);
  }
}

void Scenario::datagrams() {
  Bound a = udp_socket();
  Bound b = udp_socket();
  Descriptor* const from = attach(std::move(a.fd));
  Descriptor* const to = attach(std::move(b.fd));
  if (from == nullptr || to == nullptr) return;
  for (const std::size_t count : {std::size_t{1}, std::size_t{3}}) {
    Request& receive = io_->make_receive_messages(*to, count, 64);
    io_->start(receive);
    io_->turn();
    Request& send =
        io_->make_send_messages(*from, std::vector<std::string>(count, "text"), &b.address);
    io_->start(send);
    if (finish(send) <= 0 && !receive.done()) io_->cancel(receive);
    finish(receive);
  }
}

void Scenario::lent() {
  for (const std::uint16_t flags : {std::uint16_t{0}, operation_multishot}) {
    Pair pair = unix_pair();
    Descriptor* const near = attach(std::move(pair.near));
    if (near == nullptr) return;
    Request& receive = io_->receive_lent(*near, flags);
    io_->turn();
    write_all(pair.far, "lent");
    io_->run_until([&] { return receive.done() || !receive.data.empty(); });
    io_->cancel(receive);
    finish(receive);
  }
}

void Scenario::files() {
  static const TemporaryDirectory directory;
  Request& open = io_->open_file(directory.path("file"), open_read | open_write | open_create);
  if (finish(open) < 0) return;
  Descriptor* const file = attach(std::move(open.descriptors[0]), DescriptorKind::file);
  if (file == nullptr) return;
  finish(io_->write_at(*file, "0123456789", 0));
  finish(io_->read_at(*file, 64, 2));
  Pair pair = unix_pair();
  Pipe pipe = pipe_pair();
  Descriptor* const socket = attach(std::move(pair.near));
  Descriptor* const source = attach(std::move(pipe.read_end), DescriptorKind::stream);
  if (socket == nullptr || source == nullptr) return;
  finish(io_->send_file(*socket, *file, 0, 10));
  write_all(pipe.write_end, "spliced");
  finish(io_->splice(*socket, *source, 64));
}

void Scenario::readiness() {
  const UniqueFd event = event_fd(1);
  Descriptor* const foreign = attach(UniqueFd(event.get()), DescriptorKind::foreign);
  if (foreign != nullptr) {
    finish(io_->plain(OperationKind::readable, *foreign));
    finish(io_->plain(OperationKind::writable, *foreign));
    io_->close_now(*foreign);
  }
  io_->poller().wake();
  io_->turn(std::chrono::milliseconds(1));
  io_->turn(std::chrono::microseconds(20));
}

void Scenario::closing() {
  Pair pair = unix_pair();
  Descriptor* const near = attach(std::move(pair.near));
  if (near == nullptr) return;
  Request& pending = io_->receive(*near, 64);
  finish(io_->close(*near));
  EXPECT_TRUE(pending.done());
  EXPECT_EQ(read_to_end(pair.far), "") << "no end of stream was sent";
}

// --- The walk --------------------------------------------------------------------------------------------------------

class PollerFaultTest : public PollerFixture {
 protected:
  void SetUp() override {
    if (!fault_injection) GTEST_SKIP() << "this build injects no failures";
    PollerFixture::SetUp();
    io_.reset();
  }

  using Key = std::pair<long, std::string>;

  // The sites that an undisturbed run reaches; all of several runs, of which `certain_` are those that each has reached.
  std::vector<FaultPlan::Reached> record();
  std::vector<FaultPlan::Reached> record_all();
  bool is_reached_undisturbed(const FaultPlan::Reached& reached);
  // One run with one failure. False once the failure was not reached any more.
  bool run_with(const FaultPlan::Reached& reached, const CallFaults& faults, int value,
                std::uint64_t first, std::uint64_t times);
  // Whether a lasting failure is met. Up to the site such a run is like any other: something is wrong only when
  // undisturbed runs reach it, time after time, and those beside them do not; or when none does any more.
  bool is_reached_again(const FaultPlan::Reached& reached, const CallFaults& faults, int value, std::uint64_t times);
  void walk(const CallFaults& faults, const FaultPlan::Reached& reached);

  std::set<Key> certain_;
  std::size_t runs_ = 0;
};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerFaultTest);

std::vector<FaultPlan::Reached> PollerFaultTest::record() {
  FaultPlan recording;
  Scenario scenario(GetParam(), recording);
  scenario.run();
  EXPECT_TRUE(scenario.errors().empty()) << std::strerror(scenario.errors().front());
  return recording.reached();
}

std::vector<FaultPlan::Reached> PollerFaultTest::record_all() {
  constexpr int runs = 5;
  std::map<Key, FaultPlan::Reached> sites;
  std::map<Key, int> seen;
  for (int i = 0; i < runs; ++i) {
    for (const FaultPlan::Reached& reached : record()) {
      const Key key(reached.number, reached.site);
      FaultPlan::Reached& site = sites.try_emplace(key, reached).first->second;
      site.calls = std::max(site.calls, reached.calls);
      if (++seen[key] == runs) certain_.insert(key);
    }
  }
  std::vector<FaultPlan::Reached> all;
  for (const auto& [key, site] : sites) all.push_back(site);
  return all;
}

bool PollerFaultTest::is_reached_undisturbed(const FaultPlan::Reached& reached) {
  const std::vector<FaultPlan::Reached> sites = record();
  return std::any_of(sites.begin(), sites.end(), [&](const FaultPlan::Reached& site) {
    return site.number == reached.number && site.site == reached.site;
  });
}

std::string describe(const FaultPlan::Reached& reached, const CallFaults& faults, int value,
                     std::uint64_t first, std::uint64_t times) {
  return std::string(faults.name) + " at " + reached.site + ": " +
         (faults.kind == Fault::Kind::shorten ? "shortened to " + std::to_string(value)
                                              : std::strerror(value)) +
         ", from call " + std::to_string(first) + ", " +
         (times == FaultRule::sticky ? "for ever" : std::to_string(times) + " times");
}

bool PollerFaultTest::run_with(const FaultPlan::Reached& reached, const CallFaults& faults,
                               int value, std::uint64_t first, std::uint64_t times) {
  SCOPED_TRACE(describe(reached, faults, value, first, times));
  ++runs_;
  const std::vector<std::string> before = open_descriptors();
  FaultPlan plan;
  plan.add(FaultRule{.number = reached.number,
                     .site = reached.site,
                     .first = first,
                     .times = times,
                     .fault = {faults.kind, value}});
  Scenario scenario(GetParam(), plan);
  const Instant start = steady_clock().now();
  scenario.run();
  EXPECT_LT(steady_clock().now() - start, PollerDriver::time_limit) << "it all but hangs";
  expect_same_descriptors(before);

  // The error has reached somebody, or nobody has noticed anything.
  const std::vector<int>& errors = scenario.errors();
  if (!errors.empty() && faults.kind == Fault::Kind::fail) {
    // A kernel that does not know what a set-up asks for is told as one without io_uring.
    const bool is_too_old = value == EINVAL && errors.front() == ENOSYS;
    // A ring that cannot be entered for long is told as what it means: memory is short.
    const bool is_ring = faults.number == 426 || faults.number == 427;
    const bool is_short = is_ring && errors.front() == ENOMEM;
    // epoll's ENOSPC means its limit on watches, and attach() says so.
    const bool is_limit = value == ENOSPC && errors.front() == EMFILE;
    EXPECT_TRUE(is_too_old || is_short || is_limit || std::find(errors.begin(), errors.end(), value) != errors.end())
        << "the caller was told " << std::strerror(errors.front()) << " instead";
  }
  if (faults.kind != Fault::Kind::fail || value == EINTR) {
    EXPECT_TRUE(errors.empty()) << "not survived: " << std::strerror(errors.front());
  }
  return plan.hits() > 0;
}

bool PollerFaultTest::is_reached_again(const FaultPlan::Reached& reached, const CallFaults& faults, int value,
                                       std::uint64_t times) {
  constexpr int tries_max = 10;
  constexpr int lost_after = 200;
  int undisturbed = 0;
  for (int i = 0; i < tries_max; ++i) {
    if (run_with(reached, faults, value, 1, times) || HasFailure()) return true;
    if (is_reached_undisturbed(reached)) ++undisturbed;
  }
  if (undisturbed > 0) return undisturbed < tries_max;
  // Is it lost for all that come after the failure?
  if (!certain_.contains({reached.number, reached.site})) return true;
  for (int i = 0; i < lost_after; ++i) {
    if (is_reached_undisturbed(reached)) return true;
  }
  return false;
}

void PollerFaultTest::walk(const CallFaults& faults, const FaultPlan::Reached& reached) {
  constexpr std::uint64_t single_max = 8;
  for (const int value : faults.errors) {
    for (std::uint64_t first = 1; first <= std::min(reached.calls, single_max); ++first) {
      run_with(reached, faults, value, first, 1);
      if (HasFailure()) return;
    }
    if (faults.lasting == Lasting::not_at_all) continue;
    const std::uint64_t times = faults.lasting == Lasting::for_ever ? FaultRule::sticky : 64;
    EXPECT_TRUE(is_reached_again(reached, faults, value, times))
        << "not reached again: " << describe(reached, faults, value, 1, times);
    if (HasFailure()) return;
  }
}

TEST_P(PollerFaultTest, EverySiteSurvivesEachOfItsErrors) {
  const std::vector<FaultPlan::Reached> sites = record_all();
  ASSERT_FALSE(HasFailure());
  EXPECT_GE(sites.size(), 5u);
  std::size_t walked = 0;
  for (const FaultPlan::Reached& site : sites) {
    bool known = cannot_fail(site);
    for (const CallFaults& faults : call_faults()) {
      if (faults.number != site.number || cannot_fail(site)) continue;
      known = true;
      walk(faults, site);
      ASSERT_LE(testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count(),
                40)
          << "enough is known";
    }
    EXPECT_TRUE(known) << "system call " << site.number << " at " << site.site
                       << " has no row in the table";
    if (known) ++walked;
  }
  EXPECT_GT(walked, 0u);
  const std::unique_ptr<Poller> fresh = open();
  expect_echo(*fresh);
  RecordProperty("sites", static_cast<int>(walked));
  RecordProperty("runs", static_cast<int>(runs_));
}

// What io_uring says of an operation does not come as the answer of a system call, so it is told otherwise when it is
// reaped.
TEST_P(PollerFaultTest, EveryCompletionMayBeAnError) {
  if (!is_io_uring()) GTEST_SKIP() << "only a ring has completions";
  constexpr OperationKind kinds[] = {
      OperationKind::connect,         OperationKind::accept,       OperationKind::open_file,
      OperationKind::receive,         OperationKind::send,
      OperationKind::receive_vector,  OperationKind::send_vector,  OperationKind::receive_message,
      OperationKind::send_message,    OperationKind::receive_batch, OperationKind::read_at,
      OperationKind::write_at,        OperationKind::readable,     OperationKind::writable,
      OperationKind::splice,          OperationKind::send_file};
  std::size_t hits = 0;
  for (const OperationKind kind : kinds) {
    for (const int error : {ECONNRESET, ENOMEM, EIO}) {
      for (const std::uint64_t first : {1u, 2u}) {
        for (const std::uint64_t times : {std::uint64_t{1}, FaultRule::sticky}) {
          SCOPED_TRACE(std::string(to_string(kind)) + ": " + std::strerror(error) + ", from " +
                       std::to_string(first));
          const std::vector<std::string> before = open_descriptors();
          FaultPlan plan;
          plan.add(sys::CompletionRule{.kind = kind,
                                       .first = first,
                                       .times = times,
                                       .replace_result = true,
                                       .result = -error});
          Scenario scenario(GetParam(), plan);
          scenario.run();
          expect_same_descriptors(before);
          const std::vector<int>& errors = scenario.errors();
          EXPECT_TRUE(errors.empty() || std::find(errors.begin(), errors.end(), error) != errors.end())
              << "the caller was told " << std::strerror(errors.front()) << " instead";
          if (kind != OperationKind::connect) {  // the refused one is not noted
            EXPECT_EQ(plan.hits() > 0, !errors.empty()) << "an error was swallowed";
          }
          hits += plan.hits();
          if (HasFailure()) return;
        }
      }
    }
  }
  EXPECT_GT(hits, 50u);
}

}  // namespace
}  // namespace gyre::test
