// The wrappers of system calls: what they answer, and the seam through which tests make them fail.
#include <gyre/platform/syscalls_linux.h>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <set>
#include <string>
#include <string_view>
#include <thread>

namespace gyre {
namespace {

using namespace std::chrono_literals;
using sys::any_call;
using sys::Fault;
using sys::FaultPlan;
using sys::FaultRule;
using sys::FaultScope;

struct Pair {
  UniqueFd ends[2];
  NativeDescriptor a() const { return ends[0].get(); }
  NativeDescriptor b() const { return ends[1].get(); }
};

Pair make_pair_of(int type) {
  Pair pair;
  const Result<void> made = sys::socketpair(type, pair.ends);
  EXPECT_TRUE(made.has_value());
  return pair;
}

Pair make_pipe() {
  Pair pair;
  const Result<void> made = sys::pipe2(pair.ends, O_NONBLOCK);
  EXPECT_TRUE(made.has_value());
  return pair;
}

FaultRule failing(long number, int error, std::uint64_t first = 1, std::uint64_t times = 1) {
  return FaultRule{.number = number, .first = first, .times = times,
                   .fault = {Fault::Kind::fail, error}};
}

// A file without a name.
UniqueFd make_file() {
  char path[] = "/tmp/gyre-syscalls-XXXXXX";
  UniqueFd fd(::mkstemp(path));
  EXPECT_TRUE(static_cast<bool>(fd));
  EXPECT_TRUE(sys::unlink(path).has_value());
  return fd;
}

// --- The wrappers ----------------------------------------------------------------------------------------------------

TEST(SyscallsTest, AnswersBytesAndNegatedErrno) {
  const Pair pair = make_pair_of(SOCK_STREAM);
  char buffer[8] = {};
  EXPECT_EQ(sys::recv(pair.b(), buffer, sizeof(buffer), 0), -EAGAIN);
  EXPECT_EQ(sys::send(pair.a(), "abc", 3, 0), 3);
  EXPECT_EQ(sys::recv(pair.b(), buffer, sizeof(buffer), 0), 3);
  EXPECT_EQ(std::string_view(buffer, 3), "abc");
}

TEST(SyscallsTest, ErrnoIsLeftAlone) {
  if (sanitized) GTEST_SKIP() << "under a sanitizer the calls go through libc";
  const Pair pair = make_pair_of(SOCK_STREAM);
  char buffer[8];
  errno = 77;
  EXPECT_EQ(sys::recv(pair.b(), buffer, sizeof(buffer), 0), -EAGAIN);
  EXPECT_EQ(errno, 77);
}

TEST(SyscallsTest, SendingToNobodyRaisesNoSignal) {
  ::signal(SIGPIPE, SIG_DFL);
  Pair pair = make_pair_of(SOCK_STREAM);
  pair.ends[1].reset();
  EXPECT_EQ(sys::send(pair.a(), "x", 1, 0), -EPIPE);
  iovec slice{};
  char byte = 'x';
  slice.iov_base = &byte;
  slice.iov_len = 1;
  msghdr message{};
  message.msg_iov = &slice;
  message.msg_iovlen = 1;
  EXPECT_EQ(sys::sendmsg(pair.a(), &message, 0), -EPIPE);
  mmsghdr batch{};
  batch.msg_hdr = message;
  EXPECT_EQ(sys::sendmmsg(pair.a(), &batch, 1, 0), -EPIPE);
}

TEST(SyscallsTest, IgnoresBrokenPipesUnlessTheProgramHandlesThem) {
  ::signal(SIGPIPE, SIG_DFL);
  sys::ignore_broken_pipes();
  Pair pipe = make_pipe();
  pipe.ends[0].reset();
  EXPECT_EQ(sys::write(pipe.b(), "x", 1), -EPIPE);

  const auto handler = +[](int) {};
  ::signal(SIGPIPE, handler);
  sys::ignore_broken_pipes();
  struct ::sigaction now {};
  ::sigaction(SIGPIPE, nullptr, &now);
  EXPECT_EQ(now.sa_handler, handler);
  ::signal(SIGPIPE, SIG_DFL);
}

TEST(SyscallsTest, EverythingOpenedIsCloseOnExec) {
  const Pair pair = make_pair_of(SOCK_STREAM);
  const Pair pipe = make_pipe();
  const Result<UniqueFd> socket = sys::socket(AF_INET, SOCK_STREAM, 0);
  const Result<UniqueFd> epoll = sys::epoll_create1();
  const Result<UniqueFd> event = sys::eventfd(0);
  const Result<UniqueFd> copy = sys::duplicate(pair.a());
  const UniqueFd file(sys::openat(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY, 0));
  for (const NativeDescriptor fd : {pair.a(), pair.b(), pipe.a(), pipe.b(), socket->get(), epoll->get(),
                                    event->get(), copy->get(), file.get()}) {
    ASSERT_GE(fd, 0);
    EXPECT_NE(::fcntl(static_cast<int>(fd), F_GETFD) & FD_CLOEXEC, 0);
  }
}

TEST(SyscallsTest, SocketsAndEventsAreNonBlocking) {
  const Pair pair = make_pair_of(SOCK_STREAM);
  const Result<UniqueFd> socket = sys::socket(AF_INET, SOCK_STREAM, 0);
  const Result<UniqueFd> event = sys::eventfd(0);
  for (const NativeDescriptor fd : {pair.a(), pair.b(), socket->get(), event->get()}) {
    EXPECT_NE(sys::get_flags(fd) & O_NONBLOCK, 0);
  }
}

TEST(SyscallsTest, AcceptedSocketsAreNonBlockingAndCloseOnExec) {
  const Result<UniqueFd> listener = sys::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_TRUE(listener.has_value());
  const sa_family_t family = AF_UNIX;  // alone, it asks for a name of the system's choice
  ASSERT_TRUE(sys::bind(listener->get(), &family, sizeof(family)).has_value());
  ASSERT_TRUE(sys::listen(listener->get(), 4).has_value());
  EXPECT_EQ(sys::accept4(listener->get(), nullptr, nullptr), -EAGAIN);

  char name[128];
  std::uint32_t size = sizeof(name);
  ASSERT_TRUE(sys::getsockname(listener->get(), name, &size).has_value());
  const Result<UniqueFd> client = sys::socket(AF_UNIX, SOCK_STREAM, 0);
  EXPECT_EQ(sys::connect(client->get(), name, size), 0);
  const UniqueFd server(sys::accept4(listener->get(), nullptr, nullptr));
  ASSERT_GE(server.get(), 0);
  EXPECT_NE(sys::get_flags(server.get()) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(static_cast<int>(server.get()), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(SyscallsTest, SetNonBlockingAsksBeforeItChanges) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  EXPECT_EQ(sys::get_flags(reader.get()) & O_NONBLOCK, 0);
  EXPECT_TRUE(sys::set_non_blocking(reader.get()).has_value());
  EXPECT_NE(sys::get_flags(reader.get()) & O_NONBLOCK, 0);
}

TEST(SyscallsTest, VectorsGatherAndScatter) {
  const Pair pipe = make_pipe();
  char one[] = "ab";
  char two[] = "cde";
  const iovec out[] = {{one, 2}, {nullptr, 0}, {two, 3}};
  EXPECT_EQ(sys::writev(pipe.b(), out, 3), 5);
  char first[1];
  char second[8];
  const iovec in[] = {{first, 1}, {second, 8}};
  EXPECT_EQ(sys::readv(pipe.a(), in, 2), 5);
  EXPECT_EQ(first[0], 'a');
  EXPECT_EQ(std::string_view(second, 4), "bcde");
}

TEST(SyscallsTest, BatchesCountMessages) {
  const Pair pair = make_pair_of(SOCK_DGRAM);
  char letters[] = "abc";
  std::array<iovec, 3> slices{};
  std::array<mmsghdr, 3> batch{};
  for (std::size_t i = 0; i < 3; ++i) {
    slices[i] = {letters + i, 1};
    batch[i].msg_hdr.msg_iov = &slices[i];
    batch[i].msg_hdr.msg_iovlen = 1;
  }
  EXPECT_EQ(sys::sendmmsg(pair.a(), batch.data(), 3, 0), 3);
  std::memset(letters, 0, sizeof(letters));
  EXPECT_EQ(sys::recvmmsg(pair.b(), batch.data(), 3, MSG_DONTWAIT), 3);
  EXPECT_STREQ(letters, "abc");
  EXPECT_EQ(sys::recvmmsg(pair.b(), batch.data(), 3, MSG_DONTWAIT), -EAGAIN);
}

TEST(SyscallsTest, PositionedTransfersDoNotMoveTheFile) {
  const UniqueFd file = make_file();
  char text[] = "hello";
  iovec slice{text, 5};
  EXPECT_EQ(sys::pwritev2(file.get(), &slice, 1, 3, 0), 5);
  char read_back[16] = {};
  iovec target{read_back, sizeof(read_back)};
  EXPECT_EQ(sys::preadv2(file.get(), &target, 1, 4, 0), 4);
  EXPECT_STREQ(read_back, "ello");
  EXPECT_EQ(sys::preadv2(file.get(), &target, 1, 8, 0), 0);
  EXPECT_EQ(::lseek(static_cast<int>(file.get()), 0, SEEK_CUR), 0);
  const Result<struct ::stat> status = sys::fstat(file.get());
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->st_size, 8);
}

TEST(SyscallsTest, OffsetsBeyondFourGigabytesArePassedWhole) {
  const UniqueFd file = make_file();
  const std::int64_t far = (std::int64_t{5} << 30) + 7;
  char byte = 'z';
  iovec slice{&byte, 1};
  ASSERT_EQ(sys::pwritev2(file.get(), &slice, 1, far, 0), 1);
  byte = 0;
  EXPECT_EQ(sys::preadv2(file.get(), &slice, 1, far, 0), 1);
  EXPECT_EQ(byte, 'z');
}

TEST(SyscallsTest, SpliceAndSendfileMoveBytes) {
  const UniqueFd file = make_file();
  ASSERT_EQ(sys::write(file.get(), "0123456789", 10), 10);
  const Pair pair = make_pair_of(SOCK_STREAM);
  std::int64_t offset = 4;
  EXPECT_EQ(sys::sendfile(pair.a(), file.get(), &offset, 3), 3);
  EXPECT_EQ(offset, 7);
  const Pair pipe = make_pipe();
  EXPECT_EQ(sys::splice(pair.b(), pipe.b(), 100), 3);
  EXPECT_EQ(sys::splice(pair.b(), pipe.b(), 100), -EAGAIN);
  char buffer[8] = {};
  EXPECT_EQ(sys::read(pipe.a(), buffer, sizeof(buffer)), 3);
  EXPECT_STREQ(buffer, "456");
}

TEST(SyscallsTest, OpenReturnsWhatTheUserDidWrong) {
  EXPECT_EQ(sys::openat(AT_FDCWD, "/no/such/file", O_RDONLY, 0), -ENOENT);
  EXPECT_EQ(sys::openat(AT_FDCWD, "/", O_WRONLY, 0), -EISDIR);
  EXPECT_EQ(sys::unlink("/no/such/file").error(), std::errc::no_such_file_or_directory);
}

TEST(SyscallsTest, OpenCachedOpensWhatIsInMemoryOrSaysThatItCannot) {
  const std::int64_t plain = sys::openat(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY, 0);
  ASSERT_GE(plain, 0);
  const UniqueFd root(plain);
  const std::int64_t cached = sys::open_cached(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY, 0);
  if (cached >= 0) {
    const UniqueFd again(cached);
    EXPECT_NE(::fcntl(static_cast<int>(cached), F_GETFD) & FD_CLOEXEC, 0);
  } else {
    EXPECT_TRUE(cached == -EAGAIN || cached == -ENOSYS || cached == -EPERM) << cached;
  }
}

TEST(SyscallsTest, ConnectThatWasRefusedSaysSo) {
  const Result<UniqueFd> socket = sys::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_TRUE(socket.has_value());
  const char name[] = "\1\0\0gyre-nobody-listens-here";  // AF_UNIX, abstract
  EXPECT_EQ(sys::connect(socket->get(), name, sizeof(name)), -ECONNREFUSED);
}

TEST(SyscallsTest, SocketErrorIsTakenOnce) {
  const Pair pair = make_pair_of(SOCK_STREAM);
  EXPECT_EQ(sys::take_socket_error(pair.a()), 0);
}

TEST(SyscallsTest, PollSeesWhatIsReady) {
  const Pair pipe = make_pipe();
  pollfd asked[2] = {{static_cast<int>(pipe.a()), POLLIN, 0}, {static_cast<int>(pipe.b()), POLLOUT, 0}};
  EXPECT_EQ(sys::poll(asked, 2, Duration::zero()), 1);
  EXPECT_EQ(asked[0].revents, 0);
  EXPECT_EQ(asked[1].revents, POLLOUT);
}

TEST(SyscallsTest, EpollReportsTheTokenItWasGiven) {
  const Result<UniqueFd> epoll = sys::epoll_create1();
  const Pair pipe = make_pipe();
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = 0x123456789abcdef0;
  ASSERT_EQ(sys::epoll_ctl(epoll->get(), EPOLL_CTL_ADD, pipe.a(), &event), 0);
  EXPECT_EQ(sys::epoll_ctl(epoll->get(), EPOLL_CTL_ADD, pipe.a(), &event), -EEXIST);
  std::array<epoll_event, 4> events{};
  EXPECT_EQ(sys::epoll_poll(epoll->get(), events.data(), 4), 0);
  ASSERT_EQ(sys::write(pipe.b(), "x", 1), 1);
  EXPECT_EQ(sys::epoll_wait(epoll->get(), events.data(), 4, Duration::max()), 1);
  const std::uint64_t token = events[0].data.u64;  // A copy: the structure is packed, no reference may bind to it.
  EXPECT_EQ(token, 0x123456789abcdef0u);
  EXPECT_EQ(sys::epoll_poll(epoll->get(), events.data(), 4), 0);
}

TEST(SyscallsTest, RegularFilesCannotBePolled) {
  const Result<UniqueFd> epoll = sys::epoll_create1();
  const UniqueFd file = make_file();
  epoll_event event{};
  EXPECT_EQ(sys::epoll_ctl(epoll->get(), EPOLL_CTL_ADD, file.get(), &event), -EPERM);
  EXPECT_EQ(sys::epoll_ctl(epoll->get(), EPOLL_CTL_DEL, make_pipe().a(), &event), -ENOENT);
}

// The boundary values of deadlines: none may return early, none may overflow.
TEST(SyscallsTest, EpollWaitNeverReturnsBeforeItsTime) {
  const Result<UniqueFd> epoll = sys::epoll_create1();
  std::array<epoll_event, 1> events{};
  for (const Duration timeout : {Duration(0), Duration(1), Duration(999'999), Duration(1'000'001)}) {
    const Instant begin = sys::monotonic_now();
    EXPECT_EQ(sys::epoll_wait(epoll->get(), events.data(), 1, timeout), 0);
    EXPECT_GE(sys::monotonic_now() - begin, timeout);
  }
}

TEST(SyscallsTest, EpollWaitTakesHugeTimes) {
  const Result<UniqueFd> epoll = sys::epoll_create1();
  const Result<UniqueFd> ready = sys::eventfd(1);
  epoll_event event{};
  event.events = EPOLLIN;
  ASSERT_EQ(sys::epoll_ctl(epoll->get(), EPOLL_CTL_ADD, ready->get(), &event), 0);
  std::array<epoll_event, 1> events{};
  for (const Duration timeout : {Duration(std::chrono::milliseconds((1LL << 31) - 1)),
                                 Duration(std::chrono::milliseconds((1LL << 31) + 1)),
                                 Duration::max() - Duration(1), Duration::max()}) {
    EXPECT_EQ(sys::epoll_wait(epoll->get(), events.data(), 1, timeout), 1);
  }
}

TEST(SyscallsTest, MappedMemoryIsZeroAndWritable) {
  const Result<void*> memory = sys::mmap(8192, no_descriptor, 0);
  ASSERT_TRUE(memory.has_value());
  auto* const bytes = static_cast<char*>(*memory);
  EXPECT_EQ(bytes[8191], 0);
  bytes[8191] = 1;
  sys::munmap(*memory, 8192);
}

TEST(SyscallsTest, TheMonotonicClockDoesNotGoBack) {
  Instant last = sys::monotonic_now();
  for (int i = 0; i < 1000; ++i) {
    const Instant now = sys::monotonic_now();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(SyscallsTest, AThreadStartsWithSignalsBlockedAndEnds) {
  std::atomic<int> blocked = 0;
  pthread_t thread{};
  const auto run = +[](void* result) -> void* {
    sigset_t mask;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    *static_cast<std::atomic<int>*>(result) = ::sigismember(&mask, SIGINT);
    return nullptr;
  };
  ASSERT_EQ(sys::start_thread(&thread, run, &blocked), 0);
  sys::join_thread(thread);
  EXPECT_EQ(blocked.load(), 1);
}

TEST(SyscallsTest, AnInterruptedReadIsRepeated) {
  // A blocking read that a signal without SA_RESTART interrupts goes on to read.
  struct ::sigaction action {};
  action.sa_handler = [](int) {};
  struct ::sigaction before {};
  ASSERT_EQ(::sigaction(SIGUSR2, &action, &before), 0);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  std::atomic<std::int64_t> result = 0;
  std::atomic<bool> reading = false;
  std::thread thread([&] {
    char byte;
    reading = true;
    result = sys::read(reader.get(), &byte, 1);
  });
  while (!reading) std::this_thread::yield();
  for (int i = 0; i < 100; ++i) ::pthread_kill(thread.native_handle(), SIGUSR2);
  ASSERT_EQ(sys::write(writer.get(), "x", 1), 1);
  thread.join();
  EXPECT_EQ(result.load(), 1);
  ::sigaction(SIGUSR2, &before, nullptr);
}

using SyscallsDeathTest = testing::Test;

TEST(SyscallsDeathTest, ABadDescriptorIsABug) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  char byte;
  EXPECT_DEATH(sys::recv(1'000'000, &byte, 1, 0), "behind the back of its owner");
  EXPECT_DEATH(sys::close(1'000'000), "closed twice");
  const Pair pipe = make_pipe();
  EXPECT_DEATH(sys::recv(pipe.a(), &byte, 1, 0), "not a socket");
}

// --- The seam --------------------------------------------------------------------------------------------------------

class FaultPlanTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!fault_injection) GTEST_SKIP() << "this build has no seam";
  }
  FaultPlan plan_;
  const Pair pair_ = make_pair_of(SOCK_STREAM);
  char buffer_[64] = {};
};

TEST_F(FaultPlanTest, TheNthCallFailsOnce) {
  const FaultScope scope(plan_);
  plan_.add(failing(SYS_sendto, ECONNRESET, 2));
  EXPECT_EQ(sys::send(pair_.a(), "a", 1, 0), 1);
  EXPECT_EQ(sys::send(pair_.a(), "b", 1, 0), -ECONNRESET);
  EXPECT_EQ(sys::send(pair_.a(), "c", 1, 0), 1);
  EXPECT_EQ(plan_.hits(), 1u);
  EXPECT_EQ(sys::recv(pair_.b(), buffer_, sizeof(buffer_), 0), 2);
}

TEST_F(FaultPlanTest, AStickyFaultStays) {
  const FaultScope scope(plan_);
  plan_.add(failing(SYS_sendto, ENOBUFS, 2, FaultRule::sticky));
  EXPECT_EQ(sys::send(pair_.a(), "a", 1, 0), 1);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(sys::send(pair_.a(), "b", 1, 0), -ENOBUFS);
  plan_.clear_rules();
  EXPECT_EQ(sys::send(pair_.a(), "c", 1, 0), 1);
}

TEST_F(FaultPlanTest, AShortenedCallReallyTransfersLess) {
  const FaultScope scope(plan_);
  plan_.add({.number = SYS_sendto, .fault = {Fault::Kind::shorten, 2}});
  EXPECT_EQ(sys::send(pair_.a(), "abcdef", 6, 0), 2);
  plan_.add({.number = SYS_recvfrom, .fault = {Fault::Kind::shorten, 1}});
  EXPECT_EQ(sys::recv(pair_.b(), buffer_, sizeof(buffer_), 0), 1);
  EXPECT_EQ(sys::recv(pair_.b(), buffer_, sizeof(buffer_), 0), 1);
  EXPECT_EQ(buffer_[0], 'b');
}

TEST_F(FaultPlanTest, VectorsAndMessagesAreShortenedByBytes) {
  const FaultScope scope(plan_);
  char text[] = "abcdef";
  iovec slices[] = {{text, 3}, {text + 3, 3}};
  plan_.add({.number = SYS_writev, .fault = {Fault::Kind::shorten, 4}});
  EXPECT_EQ(sys::writev(pair_.a(), slices, 2), 4);
  plan_.add({.number = SYS_sendmsg, .fault = {Fault::Kind::shorten, 5}});
  msghdr message{};
  message.msg_iov = slices;
  message.msg_iovlen = 2;
  EXPECT_EQ(sys::sendmsg(pair_.a(), &message, 0), 5);
  plan_.add({.number = SYS_recvmsg, .fault = {Fault::Kind::shorten, 4}});
  char received[6];
  iovec target{received, sizeof(received)};
  message.msg_iov = &target;
  message.msg_iovlen = 1;
  EXPECT_EQ(sys::recvmsg(pair_.b(), &message, 0), 4);
  EXPECT_EQ(message.msg_iov, &target);
  EXPECT_EQ(std::string_view(received, 4), "abcd");
}

TEST_F(FaultPlanTest, AReplacedCallIsNotMade) {
  const FaultScope scope(plan_);
  plan_.add({.number = SYS_sendto, .fault = {Fault::Kind::replace, 6}});
  EXPECT_EQ(sys::send(pair_.a(), "abcdef", 6, 0), 6);
  EXPECT_EQ(sys::recv(pair_.b(), buffer_, sizeof(buffer_), 0), -EAGAIN);
}

TEST_F(FaultPlanTest, ACloseThatFailsHasClosed) {
  const FaultScope scope(plan_);
  Result<UniqueFd> event = sys::eventfd(0);
  const NativeDescriptor fd = event->release();
  plan_.add({.number = SYS_close, .fault = {Fault::Kind::after, EINTR}});
  EXPECT_EQ(sys::close(fd), -EINTR);
  EXPECT_EQ(sys::get_flags(fd), -EBADF);
}

TEST_F(FaultPlanTest, InterruptionsAreRetriedEvenIfTheyDoNotEnd) {
  const FaultScope scope(plan_);
  plan_.add(failing(any_call, EINTR, 1, FaultRule::sticky));
  EXPECT_EQ(sys::send(pair_.a(), "a", 1, 0), 1);
  EXPECT_EQ(sys::recv(pair_.b(), buffer_, sizeof(buffer_), 0), 1);
  EXPECT_GE(plan_.hits(), 2u);
}

TEST_F(FaultPlanTest, AnInterruptedConnectGoesOnBehindOurBack) {
  const FaultScope scope(plan_);
  plan_.add(failing(SYS_connect, EINTR));
  const sa_family_t family = AF_UNIX;
  const Result<UniqueFd> socket = sys::socket(AF_UNIX, SOCK_STREAM, 0);
  EXPECT_EQ(sys::connect(socket->get(), &family, sizeof(family)), -EINPROGRESS);
}

TEST_F(FaultPlanTest, ASiteIsTheLineThatAskedForTheCall) {
  const FaultScope scope(plan_);
  const std::string here = "syscalls_linux_test.cc:" + std::to_string(__LINE__ + 1);
  EXPECT_EQ(sys::send(pair_.a(), "a", 1, 0), 1);
  EXPECT_EQ(sys::send(pair_.a(), "b", 1, 0), 1);
  const std::vector<FaultPlan::Reached> reached = plan_.reached();
  ASSERT_EQ(reached.size(), 2u);
  EXPECT_EQ(reached[0].number, SYS_sendto);
  EXPECT_TRUE(reached[0].site.ends_with(here)) << reached[0].site;
  EXPECT_EQ(reached[0].calls, 1u);
}

TEST_F(FaultPlanTest, ARuleMayBeForOneSiteOnly) {
  const FaultScope scope(plan_);
  const std::string second = "syscalls_linux_test.cc:" + std::to_string(__LINE__ + 3);
  plan_.add({.number = any_call, .site = second, .fault = {Fault::Kind::fail, EPIPE}});
  EXPECT_EQ(sys::send(pair_.a(), "a", 1, 0), 1);
  EXPECT_EQ(sys::send(pair_.a(), "b", 1, 0), -EPIPE);
  EXPECT_EQ(sys::send(pair_.a(), "c", 1, 0), 1);
}

// The walk of a failure-injection test: the n-th call of all fails, for n = 1, 2, ... until none is left.
TEST_F(FaultPlanTest, AWalkOverEveryCallComesToAnEnd) {
  std::set<long> failed;
  std::uint64_t n = 1;
  for (; n < 100; ++n) {
    FaultPlan plan;
    plan.add(failing(any_call, ENOMEM, n));
    const FaultScope scope(plan);
    const Result<UniqueFd> epoll = sys::epoll_create1();
    if (!epoll) {
      EXPECT_EQ(epoll.error(), std::errc::not_enough_memory);
      failed.insert(SYS_epoll_create1);
    }
    const Result<UniqueFd> event = sys::eventfd(0);
    if (!event) failed.insert(SYS_eventfd2);
    if (plan.hits() == 0) break;
  }
  EXPECT_EQ(failed, (std::set<long>{SYS_epoll_create1, SYS_eventfd2}));
  EXPECT_LT(n, 10u);
}

TEST_F(FaultPlanTest, APlanOfOneThreadLeavesOthersAlone) {
  const FaultScope scope(plan_);
  plan_.add(failing(SYS_sendto, EPIPE, 1, FaultRule::sticky));
  std::int64_t elsewhere = 0;
  std::thread([&] { elsewhere = sys::send(pair_.a(), "a", 1, 0); }).join();
  EXPECT_EQ(elsewhere, 1);
  EXPECT_EQ(sys::send(pair_.a(), "a", 1, 0), -EPIPE);
}

TEST_F(FaultPlanTest, APlanOfAllThreadsReachesThemAll) {
  std::int64_t elsewhere = 0;
  {
    const FaultScope scope(plan_, FaultScope::Reach::every_thread);
    plan_.add(failing(SYS_sendto, EPIPE, 1, FaultRule::sticky));
    std::thread([&] { elsewhere = sys::send(pair_.a(), "a", 1, 0); }).join();
  }
  EXPECT_EQ(elsewhere, -EPIPE);
  EXPECT_EQ(sys::send(pair_.a(), "a", 1, 0), 1);
}

TEST_F(FaultPlanTest, AnInnerScopeHidesTheOuterOne) {
  const FaultScope outer(plan_);
  plan_.add(failing(SYS_sendto, EPIPE, 1, FaultRule::sticky));
  {
    FaultPlan other;
    const FaultScope inner(other);
    EXPECT_EQ(sys::send(pair_.a(), "a", 1, 0), 1);
    EXPECT_EQ(other.calls(SYS_sendto), 1u);
  }
  EXPECT_EQ(sys::send(pair_.a(), "a", 1, 0), -EPIPE);
}

TEST_F(FaultPlanTest, CallsAreCountedByNumber) {
  const std::uint64_t all = sys::calls_made();
  const std::uint64_t sends = sys::calls_made(SYS_sendto);
  const std::uint64_t receives = sys::calls_made(SYS_recvfrom);
  EXPECT_EQ(sys::send(pair_.a(), "a", 1, 0), 1);
  EXPECT_EQ(sys::send(pair_.a(), "a", 1, 0), 1);
  EXPECT_EQ(sys::recv(pair_.b(), buffer_, sizeof(buffer_), 0), 2);
  EXPECT_EQ(sys::calls_made() - all, 3u);
  EXPECT_EQ(sys::calls_made(SYS_sendto) - sends, 2u);
  EXPECT_EQ(sys::calls_made(SYS_recvfrom) - receives, 1u);
}

TEST_F(FaultPlanTest, WithoutEpollPwait2WholeMillisecondsAreWaitedRoundedUp) {
  const Result<UniqueFd> epoll = sys::epoll_create1();
  const FaultScope scope(plan_);
  plan_.add(failing(sys::number_epoll_pwait2, ENOSYS, 1, FaultRule::sticky));
  std::array<epoll_event, 1> events{};
  const Instant begin = sys::monotonic_now();
  EXPECT_EQ(sys::epoll_wait(epoll->get(), events.data(), 1, Duration(1'000'001)), 0);
  EXPECT_GE(sys::monotonic_now() - begin, Duration(1'000'001));
  EXPECT_EQ(plan_.calls(SYS_epoll_pwait), 1u);
}

TEST_F(FaultPlanTest, CompletionsCanBeMadeToLie) {
  const FaultScope scope(plan_);
  plan_.add({.kind = OperationKind::accept, .first = 2, .replace_result = true, .result = -EMFILE,
             .flags_cleared = 2, .flags_set = 8});
  const std::int32_t accepted = ::eventfd(0, EFD_CLOEXEC);
  std::int32_t result = accepted;
  std::uint32_t flags = 3;
  sys::distort_completion(OperationKind::accept, result, flags);
  sys::distort_completion(OperationKind::receive, result, flags);
  EXPECT_EQ(result, accepted);
  EXPECT_EQ(flags, 3u);
  sys::distort_completion(OperationKind::accept, result, flags);
  EXPECT_EQ(result, -EMFILE);
  EXPECT_EQ(flags, 9u);
  EXPECT_EQ(plan_.hits(), 1u);
  EXPECT_EQ(::fcntl(accepted, F_GETFD), -1) << "nobody hears of it, so it is closed";
}

TEST_F(FaultPlanTest, AThreadThatCannotStartSaysSo) {
  const FaultScope scope(plan_);
  plan_.add(failing(sys::number_start_thread, EAGAIN));
  pthread_t thread{};
  EXPECT_EQ(sys::start_thread(&thread, +[](void*) -> void* { return nullptr; }, nullptr), -EAGAIN);
}

}  // namespace
}  // namespace gyre
