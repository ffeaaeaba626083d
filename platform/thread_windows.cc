#include <gyre/platform/thread.h>

#include <windows.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <memory>
#include <new>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/fault_plan.h>
#include <gyre/platform/native_thread_windows.h>
#include <gyre/platform/windows_function_windows.h>

namespace gyre {

static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));

namespace {

struct Start {
  void (*run)(void*) noexcept;
  void* argument;
  ThreadOptions options;
};

// The processors of this process's group of up to 64, a bit each; 0 if it may run in several groups, where the system
// does not say.
DWORD_PTR allowed_processors() noexcept {
  DWORD_PTR process = 0;
  DWORD_PTR system = 0;
  return ::GetProcessAffinityMask(::GetCurrentProcess(), &process, &system) != 0 ? process : 0;
}

// To the n-th processor of those allowed, modulo their number.
void pin(int processor) noexcept {
  DWORD_PTR allowed = allowed_processors();
  if (allowed == 0) return;
  for (int left = processor % std::popcount(allowed); left > 0; --left) allowed &= allowed - 1;
  // Without it the thread only runs where the system thinks best.
  ::SetThreadAffinityMask(::GetCurrentThread(), allowed & (~allowed + 1));
}

void name_thread(const char* name) noexcept {
  // Since Windows 10, version 1607.
  static const auto set_description = windows_function<HRESULT(WINAPI*)(HANDLE, const wchar_t*)>(
      L"kernelbase.dll", "SetThreadDescription");
  if (set_description == nullptr) return;
  // As many bytes as elsewhere.
  wchar_t wide[16] = {};
  for (std::size_t i = 0; i < 15 && name[i] != '\0'; ++i) wide[i] = static_cast<unsigned char>(name[i]);
  static_cast<void>(set_description(::GetCurrentThread(), wide));
}

detail::NativeThreadEnd __stdcall begin(void* start) {
  const Start what = *std::unique_ptr<Start>(static_cast<Start*>(start));
  name_thread(what.options.name);
  if (what.options.processor >= 0) pin(what.options.processor);
  what.run(what.argument);
  return {};
}

// Milliseconds until `deadline`, rounded up; a wait that is longer than the system can express ends early, for no reason.
DWORD milliseconds_until(Instant deadline) noexcept {
  if (deadline == never) return INFINITE;
  const std::int64_t ns = (deadline - steady_clock().now()).count();
  if (ns <= 0) return 0;
  return static_cast<DWORD>(std::min<std::int64_t>((ns - 1) / 1'000'000 + 1, 0x7fff'ffff));
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
  if constexpr (fault_injection) {
    const sys::Fault fault = sys::detail::consult(sys::number_start_thread, sys::Site::current());
    if (fault.kind == sys::Fault::Kind::fail) {
      return Error::system(static_cast<std::int32_t>(fault.value), OperationKind::setup);
    }
  }
  const std::uintptr_t native = detail::start_native_thread(begin, start.get());
  // Whatever is short: threads, handles, memory.
  if (native == 0) return Error::system(EAGAIN, OperationKind::setup);
  static_cast<void>(start.release());
  Thread thread;
  thread.native_ = native;
  thread.joinable_ = true;
  return thread;
}

void Thread::join() noexcept {
  GYRE_CHECK_HINT(joinable_, "join() of no thread");
  joinable_ = false;
  detail::join_native_thread(native_);
}

void Thread::detach() noexcept {
  GYRE_CHECK_HINT(joinable_, "detach() of no thread");
  joinable_ = false;
  detail::detach_native_thread(native_);
}

unsigned count_processors() noexcept {
  const int count = std::popcount(allowed_processors());
  if (count > 0) return static_cast<unsigned>(count);
  return std::max(1u, static_cast<unsigned>(::GetActiveProcessorCount(ALL_PROCESSOR_GROUPS)));
}

void sleep_on(const std::atomic<std::uint32_t>& word, std::uint32_t expected, Instant deadline) noexcept {
  // It reads the word, and says the time is up or not: in both cases look again.
  auto* const address = const_cast<std::atomic<std::uint32_t>*>(&word);
  ::WaitOnAddress(address, &expected, sizeof(expected), milliseconds_until(deadline));
}

void wake_threads(const std::atomic<std::uint32_t>& word, int count) noexcept {
  auto* const address = const_cast<std::atomic<std::uint32_t>*>(&word);
  if (count == 1) {
    ::WakeByAddressSingle(address);
  } else {
    // There is nothing between one and all; a sleeper may wake for no reason.
    ::WakeByAddressAll(address);
  }
}

void relax_processor() noexcept { YieldProcessor(); }
void yield_processor() noexcept { ::SwitchToThread(); }

}  // namespace gyre
