// The coroutine type of the traps: Task<T>, lazy, owned by one object, awaited once, written as
// Gyre's is (awaiter by value, symmetric transfer, destroyed by its owner) but as small as can be.
#pragma once

#include <coroutine>
#include <exception>
#include <new>
#include <utility>

#include "trap.h"

namespace trap {

// Counts frames. A freed frame is overwritten and kept for a while, so that whoever still reads it
// reads rubbish, and whoever writes to it is found out.
struct CountedFrame {
  static void* operator new(std::size_t size);
  static void operator delete(void* frame, std::size_t size);
  // Notes if a frame was written to after it was freed.
  static void check_all_untouched();
  // Gives up if the frame allocated last, whose promise is being asked for its handle, is not at
  // `address`. Knows nothing of frames whose allocation the compiler elides.
  static void check_handle(const void* address);
};

struct PromiseBase : CountedFrame {
  std::coroutine_handle<> continuation;
  std::exception_ptr failure;

  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) noexcept {
      const std::coroutine_handle<> next = self.promise().continuation;
      return next ? next : std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };
  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept;
  void rethrow_failure() const;  // If there is one.
};

// A place for a T that may not be there yet.
template <typename T>
class Slot {
 public:
  Slot() noexcept {}
  Slot(const Slot&) = delete;
  ~Slot() {
    if (full_) value_.~T();
  }
  template <typename U>
  void put(U&& value) {
    ::new (static_cast<void*>(&value_)) T(std::forward<U>(value));
    full_ = true;
  }
  T& get() noexcept { return value_; }

 private:
  union {
    T value_;
  };
  bool full_ = false;
};

template <typename T>
struct Result : PromiseBase {
  Slot<T> value;
  template <typename U>
  void return_value(U&& result) {
    value.put(std::forward<U>(result));
  }
  T take() {
    rethrow_failure();
    return std::move(value.get());
  }
};

template <>
struct Result<void> : PromiseBase {
  void return_void() const noexcept {}
  void take() {
    rethrow_failure();
  }
};

template <typename T = void>
class [[nodiscard]] Task {
 public:
  struct promise_type : Result<T> {
    Task get_return_object() noexcept {
      const auto handle = std::coroutine_handle<promise_type>::from_promise(*this);
      CountedFrame::check_handle(handle.address());
      return Task(handle);
    }
  };
  Task(Task&& other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
  ~Task() {
    if (handle) handle.destroy();
  }

  struct Awaiter {
    std::coroutine_handle<promise_type> child;
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> parent) noexcept {
      child.promise().continuation = parent;
      return child;
    }
    T await_resume() { return child.promise().take(); }
  };
  Awaiter operator co_await() && noexcept { return Awaiter{handle}; }

  std::coroutine_handle<promise_type> handle;

 private:
  explicit Task(std::coroutine_handle<promise_type> frame) noexcept : handle(frame) {}
};

// Who is to be resumed next: the whole event loop of a trap.
inline std::coroutine_handle<> parked;

void resume_parked();

// Starts `task` and goes on until it is done. Throws what the task threw.
template <typename T>
[[gnu::noinline]] T run(Task<T> task) {
  task.handle.resume();
  resume_parked();
  CountedFrame::check_all_untouched();
  if (!task.handle.done()) ledger.note("never finished");
  return task.handle.promise().take();
}

// Suspends once, unless `ready`, and gives back `value`.
struct Later {
  int value = 0;
  bool ready = false;
  bool await_ready() const noexcept { return ready; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept { parked = waiter; }
  int await_resume() const noexcept { return value; }
};

// An awaiter that owns something, as a careless awaitable does.
struct Holder {
  Tracked held;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept { parked = waiter; }
  int await_resume() const noexcept { return held.read(); }
};

// Children that take what the traps pass: by value or by reference, suspending or not.
inline Task<int> number(int value) { co_return value; }
inline Task<int> number_later(int value) {
  const int result = co_await Later{value};
  co_return result;
}
inline Task<int> take(Tracked object) {
  const int first = object.read();
  const int second = co_await Later{first};
  co_return object.read() == second ? second : Tracked::dead;
}
inline Task<int> take_owner(Owner object) {
  const int first = object.read();
  const int second = co_await Later{first};
  co_return object.read() == second ? second : Tracked::dead;
}
inline Task<int> look(const Tracked& object) {
  const int first = object.read();
  const int second = co_await Later{first};
  co_return object.read() == second ? second : Tracked::dead;
}
inline Task<Tracked> give(int value) {
  const int later = co_await Later{value};
  co_return Tracked(later);
}
// A plain function that returns an awaiter: by value and by reference.
inline Later leaf_take(Tracked object) { return Later{object.read()}; }
inline Later leaf_look(const Tracked& object) { return Later{object.read()}; }

}  // namespace trap
