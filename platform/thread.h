// Threads of the system: start and join them, let them sleep on a word, count processors.
//
// Threads: all functions any thread; a Thread object belongs to one.
#pragma once

#include <atomic>
#include <cstdint>

#include <gyre/platform/clock.h>
#include <gyre/platform/result.h>

namespace gyre {

// Its address tells threads apart, for one load.
inline constinit thread_local char thread_mark = 0;

struct ThreadOptions {
  // What debuggers and top show; the system keeps the first 15 bytes. A literal.
  const char* name = "gyre";
  // The processor that it runs on, counted among those that this process may use; -1: any.
  int processor = -1;
};

// A thread that runs one function. It gets no signals. It must be joined, or detached, before the object goes.
class [[nodiscard]] Thread {
 public:
  Thread() noexcept = default;
  Thread(Thread&& other) noexcept;
  Thread& operator=(Thread&& other) noexcept;
  ~Thread();

  // Errors: resource_unavailable_try_again (the limit on threads, or memory). A processor that cannot be had is no error.
  static Result<Thread> start(void (*run)(void* argument) noexcept, void* argument,
                              const ThreadOptions& options = {}) noexcept;

  explicit operator bool() const noexcept { return joinable_; }
  // Waits for the thread's end.
  void join() noexcept;
  // The thread runs on, and nobody will wait for it.
  void detach() noexcept;

 private:
  std::uintptr_t native_ = 0;
  bool joinable_ = false;
};

// Processors that this process may use, at least 1.
unsigned count_processors() noexcept;

// Sleeps while `word` is `expected`, until wake_threads() or `deadline`. May return for no reason: look again.
void sleep_on(const std::atomic<std::uint32_t>& word, std::uint32_t expected, Instant deadline = never) noexcept;
// Ends the sleep of up to `count` threads on `word`, whose memory is not read.
void wake_threads(const std::atomic<std::uint32_t>& word, int count = 1) noexcept;

// For the body of a loop that waits for another processor: a few cycles' rest.
void relax_processor() noexcept;
// Lets another thread run here.
void yield_processor() noexcept;

}  // namespace gyre
