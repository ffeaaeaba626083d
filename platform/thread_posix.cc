#include <gyre/platform/thread_posix.h>

#include <bit>
#include <memory>
#include <new>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/syscalls_posix.h>
#include <gyre/platform/thread.h>

namespace gyre {

static_assert(sizeof(pthread_t) == sizeof(std::uintptr_t));

namespace {

struct Start {
  void (*run)(void*) noexcept;
  void* argument;
  ThreadOptions options;
};

void* begin(void* start) noexcept {
  const Start what = *std::unique_ptr<Start>(static_cast<Start*>(start));
  sys::name_thread(what.options.name);
  if (what.options.processor >= 0) detail::pin_this_thread(what.options.processor);
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
  thread.native_ = std::bit_cast<std::uintptr_t>(native);
  thread.joinable_ = true;
  return thread;
}

void Thread::join() noexcept {
  GYRE_CHECK_HINT(joinable_, "join() of no thread");
  joinable_ = false;
  sys::join_thread(std::bit_cast<pthread_t>(native_));
}

void Thread::detach() noexcept {
  GYRE_CHECK_HINT(joinable_, "detach() of no thread");
  joinable_ = false;
  sys::detach_thread(std::bit_cast<pthread_t>(native_));
}

}  // namespace gyre
