// Work<T>: a coroutine that computes on a CpuPool, and may split itself.
//
//   Work<long> fib(int n) {
//     if (n < 2) co_return n;
//     long a = 0;
//     co_await fork_into(a, fib(n - 1));   // begins at once; what follows here may go on in another thread
//     const long b = co_await fib(n - 2);  // a plain call
//     co_await join_forks();               // from here on `a` is there
//     co_return a + b;
//   }
//
// The child of a fork runs at once, as a call would; what is offered to other threads is the rest of the parent. If nobody
// takes it, it goes on when the child has ended, and the two have cost little more than a call. So an await may move a
// Work to another thread of its pool: no thread_local is the same before and after, and no lock is held across.
//
// Whoever has forked must join before it ends. A child's exception comes out of join_forks(), the first if there are more;
// that of a called child where it is called, after what was forked has ended. A parent's own exception must not leave it
// between a fork and its join: that aborts if the child runs elsewhere.
// A Work awaits other Works and nothing else: neither a Task nor I/O. Tasks get at one by offload().
#pragma once

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <type_traits>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/compiler.h>
#include <gyre/task/frame_pool.h>
#include <gyre/task/parking.h>
#include <gyre/task/steal_deque.h>
#include <gyre/task/work_join.h>

namespace gyre {

template <typename T>
class Work;

namespace detail {

class CpuWorker;

// Who is told when the outermost Work has ended; on the thread where that was.
struct WorkRoot {
  void (*ended)(WorkRoot& root) noexcept = nullptr;
};

enum class WorkKind : std::uint8_t {
  unstarted,
  called,       // the parent waits for it, and destroys it
  forked,       // the parent lies in the deque, or has been taken from there
  forked_alone, // the parent could not be put there, and waits
  root,
};

struct WorkPromiseBase {
  CpuWorker* worker = nullptr;  // where it runs
  void* parent = nullptr;       // a frame; of the root: its WorkRoot
  void* result = nullptr;       // where it goes
  std::exception_ptr* failure = nullptr;  // its own; owned
  WorkJoin forks;
  WorkKind kind = WorkKind::unstarted;
  bool has_forked = false;  // since the last join

  WorkPromiseBase() noexcept = default;
  WorkPromiseBase(const WorkPromiseBase&) = delete;
  WorkPromiseBase& operator=(const WorkPromiseBase&) = delete;
  ~WorkPromiseBase() { delete failure; }

  static void* operator new(std::size_t size) noexcept { return allocate_frame(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }

  std::suspend_always initial_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept;
  // What was forked has ended.
  void end_forks() noexcept {
    forks.restart();
    has_forked = false;
  }
  void check_joined() const noexcept {
    GYRE_CHECK_HINT(!has_forked, "a Work ends that has forked: co_await join_forks() on every way out");
  }
};

inline WorkPromiseBase& work_promise_of(void* frame) noexcept {
  return std::coroutine_handle<WorkPromiseBase>::from_address(frame).promise();
}

// What a coroutine finds out about the thread that runs it.
class CpuWorker {
 public:
  CpuWorker() = default;
  CpuWorker(const CpuWorker&) = delete;
  CpuWorker& operator=(const CpuWorker&) = delete;

  // Where to go on inside await_suspend: to `frame`, or, when many have been entered without return, back to run(), which
  // then goes there: see Scheduler's third invariant.
  std::coroutine_handle<> transfer(void* frame) noexcept {
    if (--transfers_left_ != 0) [[likely]] return std::coroutine_handle<>::from_address(frame);
    next_ = frame;
    return std::noop_coroutine();
  }
  // Puts what follows a fork up for others. False: no memory.
  bool put_up(void* frame) noexcept {
    if (!deque_.push(frame)) [[unlikely]] return false;
    offer();
    return true;
  }
  StealDeque& deque() noexcept { return deque_; }
  // The root has come to its end. Told once its frame no longer runs.
  void end_root(WorkRoot& root) noexcept { ended_ = &root; }

  // Runs `frame` and all that it leads to, on the thread of this worker.
  void run(void* frame) noexcept;
  // The same for the rest of a frame that was taken from a deque.
  void run_taken(void* frame) noexcept {
    WorkPromiseBase& promise = work_promise_of(frame);
    promise.worker = this;
    promise.forks.note_taken();
    run(frame);
  }

 protected:
  ~CpuWorker() = default;

 private:
  void offer() noexcept;

  static constexpr std::uint32_t transfers_max = 128;

  StealDeque deque_;
  std::uint32_t transfers_left_ = transfers_max;
  void* next_ = nullptr;
  WorkRoot* ended_ = nullptr;

 protected:
  Parking* parking_ = nullptr;
};

inline void CpuWorker::offer() noexcept { parking_->offer(); }

// The end of a Work, by kind.
struct WorkFinalAwaiter {
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> finished) const noexcept {
    Promise& promise = finished.promise();
    CpuWorker& worker = *promise.worker;
    void* const parent = promise.parent;
    if (promise.kind == WorkKind::forked) [[likely]] {
      if (promise.failure != nullptr) [[unlikely]] hand_over_failure(promise);
      // Before the parent can go on, for whom the child's frame is next to be used again.
      finished.destroy();
      void* const taken_back = worker.deque().pop();
      if (taken_back != nullptr) [[likely]] {
        GYRE_DCHECK(taken_back == parent);
        return worker.transfer(parent);
      }
      return end_elsewhere(worker, parent);
    }
    if (promise.kind == WorkKind::called) {
      WorkPromiseBase& caller = work_promise_of(parent);
      caller.worker = &worker;
      // The exception will leave the caller: what it has forked must not outlive its variables.
      if (promise.failure != nullptr && !caller.forks.are_done()) [[unlikely]] {
        if (!caller.forks.wait()) return std::noop_coroutine();
      }
      return worker.transfer(parent);
    }
    return end_rarely(promise, finished);
  }
  void await_resume() const noexcept {}

 private:
  static void hand_over_failure(WorkPromiseBase& promise) noexcept;
  // The parent has been taken by another thread: the last one of its children goes on with it, if it waits.
  static std::coroutine_handle<> end_elsewhere(CpuWorker& worker, void* parent) noexcept;
  static std::coroutine_handle<> end_rarely(WorkPromiseBase& promise, std::coroutine_handle<> finished) noexcept;
};

template <typename T>
class WorkPromise;

template <typename T>
class [[nodiscard]] WorkCallAwaiter;
template <typename T>
class [[nodiscard]] WorkForkAwaiter;

struct [[nodiscard]] WorkJoinOperation {};
class [[nodiscard]] WorkJoinAwaiter;

// What a Work may await.
template <typename Derived>
struct WorkAwaits : WorkPromiseBase {
  WorkFinalAwaiter final_suspend() const noexcept { return {}; }

  template <typename T>
  WorkCallAwaiter<T> await_transform(Work<T>&& child) noexcept {
    return WorkCallAwaiter<T>(child.release());
  }
  template <typename T>
  WorkForkAwaiter<T> await_transform(WorkForkAwaiter<T>&& forked) noexcept {
    return std::move(forked);
  }
  WorkJoinAwaiter await_transform(WorkJoinOperation) noexcept;
};

template <typename T>
class WorkPromise final : public WorkAwaits<WorkPromise<T>> {
 public:
  static_assert(!std::is_reference_v<T>, "return a pointer");

  Work<T> get_return_object() noexcept {
    return Work<T>(std::coroutine_handle<WorkPromise>::from_promise(*this));
  }
  static Work<T> get_return_object_on_allocation_failure();

  template <typename U = T>
    requires std::is_constructible_v<T, U&&>
  void return_value(U&& value) {
    this->check_joined();
    if (this->kind == WorkKind::forked || this->kind == WorkKind::forked_alone) {
      *static_cast<T*>(this->result) = std::forward<U>(value);
    } else {
      new (this->result) T(std::forward<U>(value));
    }
  }
};

template <>
class WorkPromise<void> final : public WorkAwaits<WorkPromise<void>> {
 public:
  Work<void> get_return_object() noexcept;
  static Work<void> get_return_object_on_allocation_failure();
  void return_void() const noexcept { check_joined(); }
};

// Throws bad_alloc.
[[noreturn]] void out_of_frame_memory();

}  // namespace detail

template <typename T = void>
class [[nodiscard("a Work does nothing until it is awaited or offloaded")]] Work {
 public:
  using promise_type = detail::WorkPromise<T>;
  using value_type = T;

  Work() noexcept = default;
  Work(Work&& other) noexcept : frame_(other.release()) {}
  Work& operator=(Work&& other) noexcept {
    if (this != &other) {
      if (frame_) frame_.destroy();
      frame_ = other.release();
    }
    return *this;
  }
  ~Work() {
    if (frame_) frame_.destroy();
  }

  explicit operator bool() const noexcept { return static_cast<bool>(frame_); }
  // The frame, which is then the caller's.
  [[nodiscard]] std::coroutine_handle<promise_type> release() noexcept { return std::exchange(frame_, {}); }
  promise_type& promise() const noexcept { return frame_.promise(); }
  void* address() const noexcept { return frame_.address(); }

 private:
  friend promise_type;
  explicit Work(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}

  std::coroutine_handle<promise_type> frame_;
};

template <typename T>
inline constexpr bool is_work = false;
template <typename T>
inline constexpr bool is_work<Work<T>> = true;

namespace detail {

inline Work<void> WorkPromise<void>::get_return_object() noexcept {
  return Work<void>(std::coroutine_handle<WorkPromise>::from_promise(*this));
}
template <typename T>
Work<T> WorkPromise<T>::get_return_object_on_allocation_failure() {
  out_of_frame_memory();
}
inline Work<void> WorkPromise<void>::get_return_object_on_allocation_failure() { out_of_frame_memory(); }

// Room for a T that the child makes.
template <typename T>
union WorkSlot {
  WorkSlot() noexcept {}
  ~WorkSlot() {}
  T value;
};
template <>
union WorkSlot<void> {
  std::byte value;
};

template <typename T>
class [[nodiscard]] WorkCallAwaiter {
 public:
  explicit WorkCallAwaiter(std::coroutine_handle<WorkPromise<T>> child) noexcept : child_(child) {
    GYRE_CHECK_HINT(child, "awaited an empty Work: it was moved from, or awaited twice");
  }
  WorkCallAwaiter(const WorkCallAwaiter&) = delete;
  WorkCallAwaiter& operator=(const WorkCallAwaiter&) = delete;
  ~WorkCallAwaiter() { child_.destroy(); }

  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> parent) noexcept {
    WorkPromiseBase& child = child_.promise();
    child.worker = parent.promise().worker;
    child.parent = parent.address();
    child.result = &slot_.value;
    child.kind = WorkKind::called;
    return child.worker->transfer(child_.address());
  }
  T await_resume() {
    WorkPromiseBase& child = child_.promise();
    if (child.failure != nullptr) [[unlikely]] {
      work_promise_of(child.parent).end_forks();
      std::rethrow_exception(*child.failure);
    }
    if constexpr (!std::is_void_v<T>) {
      struct Destroy {
        T& value;
        ~Destroy() { value.~T(); }
      } const destroy{slot_.value};
      return T(std::move(slot_.value));
    }
  }

 private:
  std::coroutine_handle<WorkPromise<T>> child_;
  WorkSlot<T> slot_;
};

template <typename T>
class [[nodiscard]] WorkForkAwaiter {
 public:
  WorkForkAwaiter(void* result, std::coroutine_handle<WorkPromise<T>> child) noexcept : child_(child) {
    GYRE_CHECK_HINT(child, "forked an empty Work: it was moved from, or awaited twice");
    child.promise().result = result;
  }
  // Only on its way into the await.
  WorkForkAwaiter(WorkForkAwaiter&& other) noexcept : child_(std::exchange(other.child_, {})) {}
  WorkForkAwaiter& operator=(WorkForkAwaiter&&) = delete;
  ~WorkForkAwaiter() {
    if (child_) child_.destroy();  // was never awaited
  }

  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  GYRE_PUBLISHING std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> parent) noexcept {
    const auto frame = std::exchange(child_, {});
    WorkPromiseBase& child = frame.promise();
    CpuWorker& worker = *parent.promise().worker;
    child.worker = &worker;
    child.parent = parent.address();
    child.kind = WorkKind::forked;
    parent.promise().has_forked = true;
    // From here on the parent may run in another thread, and this awaiter may be gone.
    if (!worker.put_up(parent.address())) [[unlikely]] child.kind = WorkKind::forked_alone;
    return worker.transfer(frame.address());
  }
  void await_resume() const noexcept {}

 private:
  std::coroutine_handle<WorkPromise<T>> child_;
};

class [[nodiscard]] WorkJoinAwaiter {
 public:
  explicit WorkJoinAwaiter(WorkPromiseBase& promise) noexcept : promise_(promise) {}

  bool await_ready() const noexcept { return promise_.forks.are_done(); }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> frame) noexcept {
    // If it has to wait, it may already run elsewhere now.
    if (promise_.forks.wait()) return frame;
    return std::noop_coroutine();
  }
  void await_resume() {
    promise_.end_forks();
    promise_.forks.rethrow();
  }

 private:
  WorkPromiseBase& promise_;
};

template <typename Derived>
WorkJoinAwaiter WorkAwaits<Derived>::await_transform(WorkJoinOperation) noexcept {
  return WorkJoinAwaiter(*this);
}

}  // namespace detail

// Runs `child` while the rest of the caller may go on elsewhere. Its result is assigned to `into`, which must live, and not
// be read, until join_forks().
template <typename T>
detail::WorkForkAwaiter<T> fork_into(T& into, Work<T>&& child) noexcept {
  return detail::WorkForkAwaiter<T>(&into, child.release());
}
inline detail::WorkForkAwaiter<void> fork_off(Work<void>&& child) noexcept {
  return detail::WorkForkAwaiter<void>(nullptr, child.release());
}

// Waits for all that the caller has forked since its last join. Rethrows the first exception of them.
inline detail::WorkJoinOperation join_forks() noexcept { return {}; }

namespace detail {

template <typename Index, typename Body>
Work<void> run_piece(Index begin, Index end, const Body& body) {
  for (Index i = begin; i < end; ++i) body(i);
  co_return;
}

}  // namespace detail

// Calls `body(i)` for begin <= i < end, in any order and on all threads of the pool; pieces of up to `grain` in a row.
// `body` must outlive the Work. Rethrows an exception of the body; the pieces that have begun by then, and some that have
// not, run to their ends.
template <typename Index, typename Body>
Work<void> parallel_for(Index begin, Index end, Index grain, const Body& body) {
  GYRE_CHECK(grain > 0);
  while (end - begin > grain) {
    const Index middle = static_cast<Index>(begin + (end - begin) / 2);
    co_await fork_off(parallel_for<Index, Body>(begin, middle, grain, body));
    begin = middle;
  }
  // As a call, so that what it throws waits for the pieces that were forked.
  co_await detail::run_piece<Index, Body>(begin, end, body);
  co_await join_forks();
}

}  // namespace gyre
