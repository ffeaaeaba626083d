#include <gyre/platform/thread.h>

#include <sched.h>

#include <memory>
#include <new>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/syscalls_linux.h>

namespace gyre {

static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));
static_assert(sizeof(pthread_t) == sizeof(std::uintptr_t));

namespace {

struct Start {
  void (*run)(void*) noexcept;
  void* argument;
  ThreadOptions options;
};

// To the n-th processor of those allowed, modulo their number.
void pin(int processor) noexcept {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sys::sched_getaffinity(&allowed, sizeof(allowed)) < 0) return;
  const int count = CPU_COUNT(&allowed);
  if (count == 0) return;
  int left = processor % count;
  for (std::size_t i = 0; i < CPU_SETSIZE; ++i) {
    if (!CPU_ISSET(i, &allowed) || left-- != 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(i, &one);
    // Without it the thread only runs where the kernel thinks best.
    static_cast<void>(sys::sched_setaffinity(&one, sizeof(one)));
    return;
  }
}

void* begin(void* start) noexcept {
  const Start what = *std::unique_ptr<Start>(static_cast<Start*>(start));
  sys::name_thread(what.options.name);
  if (what.options.processor >= 0) pin(what.options.processor);
  what.run(what.argument);
  return nullptr;
}

}  // namespace

Thread::Thread(Thread&& other) noexcept
    : native_(other.native_), joinable_(std::exchange(other.joinable_, false)) {}

Thread& Thread::operator=(Thread&& other) noexcept {
  GYRE_CHECK_HINT(!joinable_, "a thread is replaced that was not joined");
  native_ = other.native_;
  joinable_ = std::exchange(other.joinable_, false);
  return *this;
}

Thread::~Thread() { GYRE_CHECK_HINT(!joinable_, "a thread was not joined"); }

Result<Thread> Thread::start(void (*run)(void*) noexcept, void* argument,
                             const ThreadOptions& options) noexcept {
  std::unique_ptr<Start> start(new (std::nothrow) Start{run, argument, options});
  if (start == nullptr) return Error::system(ENOMEM, OperationKind::setup);
  pthread_t native{};
  const std::int64_t result = sys::start_thread(&native, begin, start.get());
  if (result < 0) return Error::system(static_cast<std::int32_t>(-result), OperationKind::setup);
  static_cast<void>(start.release());
  Thread thread;
  thread.native_ = static_cast<std::uintptr_t>(native);
  thread.joinable_ = true;
  return thread;
}

void Thread::join() noexcept {
  GYRE_CHECK_HINT(joinable_, "join() of no thread");
  joinable_ = false;
  sys::join_thread(static_cast<pthread_t>(native_));
}

void Thread::detach() noexcept {
  GYRE_CHECK_HINT(joinable_, "detach() of no thread");
  joinable_ = false;
  sys::detach_thread(static_cast<pthread_t>(native_));
}

unsigned count_processors() noexcept {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sys::sched_getaffinity(&allowed, sizeof(allowed)) < 0) return 1;
  const int count = CPU_COUNT(&allowed);
  return count > 0 ? static_cast<unsigned>(count) : 1;
}

void sleep_on(const std::atomic<std::uint32_t>& word, std::uint32_t expected, Instant deadline) noexcept {
  timespec until{};
  const bool bounded = deadline != never;
  if (bounded) {
    const std::int64_t ns = deadline.nanoseconds() > 0 ? deadline.nanoseconds() : 0;
    until.tv_sec = ns / 1'000'000'000;
    until.tv_nsec = ns % 1'000'000'000;
  }
  // EAGAIN (the word has changed), ETIMEDOUT and EINTR all mean: look again.
  static_cast<void>(sys::futex_wait(&word, expected, bounded ? &until : nullptr));
}

void wake_threads(const std::atomic<std::uint32_t>& word, int count) noexcept {
  sys::futex_wake(&word, count);
}

void relax_processor() noexcept { sys::pause_instruction(); }
void yield_processor() noexcept { sys::sched_yield(); }

}  // namespace gyre
