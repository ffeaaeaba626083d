// AsyncGenerator<T>: a coroutine that gives out one value after the other, and may await anything between them.
//
//   AsyncGenerator<Line> lines(TcpStream& stream) {
//     for (;;) {
//       Result<Line> line = co_await read_line(stream);
//       if (!line) co_return;
//       Result<void> wanted = co_yield std::move(*line);
//       if (!wanted) co_return;                          // close() was called; clean up, also with awaits
//     }
//   }
//
//   while (std::optional<Line> line = co_await generator.next()) ...
//   co_await generator.close();
//
// It runs inside next() and close() only, as a part of the task that calls them, so its awaits are that task's: they see
// its cancellation and its deadlines. Because of that no scope and no group of the generator may be open across a
// co_yield. It starts with the first next().
//
// A generator ends by running to its end, or by close(): the co_yield in which it stands reports Errc::closed, and if it
// yields again all the same, it goes no further. A generator that has begun and has not ended must be closed before it
// dies, on every way out; builds with debug checks abort otherwise, others destroy it where it stands. An exception that
// leaves it is rethrown by next() or close(), and ends it.
//
// One that outlives the tasks that used it, and has not ended when its reactor shuts down, is closed there, after the last
// task: oldest first, and what it throws goes to the failure sink.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/compiler.h>
#include <gyre/platform/result.h>
#include <gyre/task/context.h>
#include <gyre/task/frame_pool.h>
#include <gyre/task/scheduler.h>
#include <gyre/task/task.h>

namespace gyre {

template <typename T>
class AsyncGenerator;

namespace detail {

// All of a generator that does not depend on what it yields.
class GeneratorPromiseBase : public PromiseBase {
 public:
  enum class Stage : std::uint8_t {
    fresh,     // not begun
    running,   // inside next()
    yielded,   // stands in a co_yield
    closing,   // inside close()
    ended,     // done, or stopped in a co_yield during close()
  };

  ~GeneratorPromiseBase() {
    if (open_.is_linked()) open_.unlink();
  }

  static void* operator new(std::size_t size) noexcept { return allocate_frame(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }

  std::suspend_always initial_suspend() const noexcept { return {}; }
  auto final_suspend() const noexcept { return FinalAwaiter{}; }
  void return_void() const noexcept {}
  void unhandled_exception() noexcept { exception_ = std::current_exception(); }

  // As that of a Task.
  template <typename Awaitable>
  auto await_transform(Awaitable&& awaitable, const void* place = GYRE_CALLERS_PLACE()) noexcept {
    waits_at_ = AwaitPlace(place);
    if constexpr (requires { static_cast<Awaitable&&>(awaitable).operator co_await(); }) {
      return static_cast<Awaitable&&>(awaitable).operator co_await();
    } else {
      return AwaiterReference<std::remove_reference_t<Awaitable>>(awaitable);
    }
  }

  Stage stage() const noexcept { return stage_; }
  // Inside await_suspend of `caller`: the generator runs until it has something to say.
  std::coroutine_handle<> enter(void* generator, void* caller, Stage stage) noexcept;
  // Rethrows what has left the generator.
  void rethrow();

 protected:
  // Back to whoever called enter().
  std::coroutine_handle<> leave(Stage stage) noexcept;

  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> finished) const noexcept {
      return finished.promise().leave(Stage::ended);
    }
    void await_resume() const noexcept {}
  };

 private:
  friend struct FinalAwaiter;

  AwaitPlace waits_at_;  // right behind the base: see place_of()
  CancelScope* scope_ = nullptr;  // innermost at enter()
  std::exception_ptr exception_;
  OpenGenerator open_;
  Stage stage_ = Stage::fresh;
};

// As close(), by whoever does not own it: the generator's variables may live until its owner lets go of it.
Task<void> close_generator(OpenGenerator* open);

// A generator that has begun is destroyed before its end.
void generator_dies(GeneratorPromiseBase::Stage stage) noexcept;

template <typename T>
class GeneratorPromise final : public GeneratorPromiseBase {
 public:
  AsyncGenerator<T> get_return_object() noexcept;
  static AsyncGenerator<T> get_return_object_on_allocation_failure() { out_of_frame_memory(); }

  // The value stays where it is until next() moves it out.
  auto yield_value(T&& value) noexcept { return YieldAwaiter(*this, value); }
  auto yield_value(const T& value) noexcept(std::is_nothrow_copy_constructible_v<T>)
    requires std::is_copy_constructible_v<T>
  {
    return CopyAwaiter(*this, value);
  }

  // Null at the end.
  T* value() const noexcept { return value_; }

 private:
  class [[nodiscard]] YieldAwaiter {
   public:
    YieldAwaiter(GeneratorPromise& promise, T& value) noexcept : promise_(promise), value_(value) {}
    YieldAwaiter(const YieldAwaiter&) = delete;
    YieldAwaiter& operator=(const YieldAwaiter&) = delete;

    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<>) noexcept {
      const bool is_wanted = promise_.stage() == Stage::running;
      promise_.value_ = is_wanted ? &value_ : nullptr;
      return promise_.leave(is_wanted ? Stage::yielded : Stage::ended);
    }
    Result<void> await_resume() noexcept {
      promise_.value_ = nullptr;
      if (promise_.stage() == Stage::running) [[likely]] return {};
      return Errc::closed;
    }

   private:
    GeneratorPromise& promise_;
    T& value_;
  };

  // Of an lvalue: yields a copy.
  class [[nodiscard]] CopyAwaiter {
   public:
    CopyAwaiter(GeneratorPromise& promise, const T& value) : copy_(value), yield_(promise, copy_) {}
    CopyAwaiter(const CopyAwaiter&) = delete;
    CopyAwaiter& operator=(const CopyAwaiter&) = delete;

    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> frame) noexcept {
      return yield_.await_suspend(frame);
    }
    Result<void> await_resume() noexcept { return yield_.await_resume(); }

   private:
    T copy_;
    YieldAwaiter yield_;
  };

  T* value_ = nullptr;
};

}  // namespace detail

template <typename T>
class [[nodiscard]] AsyncGenerator {
  static_assert(std::is_object_v<T> && std::is_move_constructible_v<T>);

 public:
  using promise_type = detail::GeneratorPromise<T>;
  using value_type = T;

  AsyncGenerator() noexcept = default;
  AsyncGenerator(AsyncGenerator&& other) noexcept : frame_(std::exchange(other.frame_, {})) {}
  AsyncGenerator& operator=(AsyncGenerator&& other) noexcept {
    if (this != &other) {
      drop();
      frame_ = std::exchange(other.frame_, {});
    }
    return *this;
  }
  ~AsyncGenerator() { drop(); }

  // Whether it has come to its end, by itself or by close().
  bool has_ended() const noexcept {
    return !frame_ || frame_.promise().stage() == detail::GeneratorPromiseBase::Stage::ended;
  }

  // Runs it up to its next value, which moves out; nothing at its end. One caller at a time.
  [[nodiscard]] auto next() noexcept { return Next(*this); }
  // Ends it; see above. Idempotent.
  [[nodiscard]] auto close() noexcept { return Close(*this); }

 private:
  friend promise_type;
  using Stage = detail::GeneratorPromiseBase::Stage;

  class [[nodiscard]] NextAwaiter {
   public:
    explicit NextAwaiter(AsyncGenerator& generator) noexcept : generator_(generator) {}
    NextAwaiter(const NextAwaiter&) = delete;
    NextAwaiter& operator=(const NextAwaiter&) = delete;

    bool await_ready() const noexcept { return generator_.has_ended(); }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) noexcept {
      return generator_.enter(caller, Stage::running);
    }
    std::optional<T> await_resume() {
      if (!generator_.frame_) return std::nullopt;
      promise_type& promise = generator_.frame_.promise();
      if (promise.value() != nullptr) [[likely]] return std::move(*promise.value());
      promise.rethrow();
      return std::nullopt;
    }

   private:
    AsyncGenerator& generator_;
  };

  class [[nodiscard]] CloseAwaiter {
   public:
    explicit CloseAwaiter(AsyncGenerator& generator) noexcept : generator_(generator) {}
    CloseAwaiter(const CloseAwaiter&) = delete;
    CloseAwaiter& operator=(const CloseAwaiter&) = delete;

    bool await_ready() const noexcept {
      return generator_.has_ended() || generator_.frame_.promise().stage() == Stage::fresh;
    }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) noexcept {
      return generator_.enter(caller, Stage::closing);
    }
    void await_resume() {
      AsyncGenerator ended = std::move(generator_);
      if (ended.frame_) ended.frame_.promise().rethrow();
    }

   private:
    AsyncGenerator& generator_;
  };

  // Not yet awaited: what the await expression makes the awaiter from.
  template <typename Awaiter>
  class [[nodiscard]] Call {
   public:
    explicit Call(AsyncGenerator& generator) noexcept : generator_(generator) {}
    Awaiter operator co_await() const noexcept { return Awaiter(generator_); }

   private:
    AsyncGenerator& generator_;
  };
  using Next = Call<NextAwaiter>;
  using Close = Call<CloseAwaiter>;

  explicit AsyncGenerator(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
  std::coroutine_handle<> enter(std::coroutine_handle<> caller, Stage stage) noexcept {
    return frame_.promise().enter(frame_.address(), caller.address(), stage);
  }
  void drop() noexcept {
    if (!frame_) return;
    const Stage stage = frame_.promise().stage();
    if (stage != Stage::fresh && stage != Stage::ended) detail::generator_dies(stage);
    frame_.destroy();
  }

  std::coroutine_handle<promise_type> frame_;
};

namespace detail {

template <typename T>
AsyncGenerator<T> GeneratorPromise<T>::get_return_object() noexcept {
  return AsyncGenerator<T>(std::coroutine_handle<GeneratorPromise>::from_promise(*this));
}

}  // namespace detail
}  // namespace gyre
