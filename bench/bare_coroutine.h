// The floors that tasks and synchronisation are judged by: coroutines and a ready queue with nothing around them. No
// cancellation, no ownership, no results but by reference, one thread.
#pragma once

#include <array>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <new>

namespace gyre::bench {

// Frames of one kind of coroutine from a free list.
template <typename Kind>
class FreeList {
 public:
  static void* allocate(std::size_t size) {
    if (first != nullptr) {
      Node* const node = first;
      first = node->next;
      return node;
    }
    return ::operator new(size < 256 ? 256 : size);
  }
  static void free(void* frame) noexcept { first = new (frame) Node{first}; }

 private:
  struct Node {
    Node* next;
  };
  static inline constinit thread_local Node* first = nullptr;
};

// A coroutine that starts at once and is destroyed by whoever made it.
struct Bare {
  struct promise_type {
    Bare get_return_object() noexcept {
      return {std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> frame;
};

// A child with a value, in a frame from a free list: it starts when it is awaited, by symmetric transfer, and goes back in
// the same way.
class BareChild {
 public:
  struct promise_type {
    struct Final {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> frame) const noexcept {
        return frame.promise().parent;
      }
      void await_resume() const noexcept {}
    };

    promise_type() noexcept {}
    static void* operator new(std::size_t size) { return FreeList<BareChild>::allocate(size); }
    static void operator delete(void* frame) noexcept { FreeList<BareChild>::free(frame); }
    BareChild get_return_object() noexcept {
      return BareChild(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    Final final_suspend() const noexcept { return {}; }
    void return_value(int result) noexcept { value = result; }
    void unhandled_exception() const noexcept { std::terminate(); }

    std::coroutine_handle<> parent;
    int value;
  };

  explicit BareChild(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
  BareChild(const BareChild&) = delete;
  BareChild& operator=(const BareChild&) = delete;
  ~BareChild() { frame_.destroy(); }

  struct Awaiter {
    std::coroutine_handle<promise_type> child;
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> parent) const noexcept {
      child.promise().parent = parent;
      return child;
    }
    int await_resume() const noexcept { return child.promise().value; }
  };
  Awaiter operator co_await() const noexcept { return {frame_}; }

 private:
  std::coroutine_handle<promise_type> frame_;
};

// A coroutine with a value, in a frame from a free list: the ring starts it, and whoever made it destroys it.
class BareSpawned {
 public:
  struct promise_type {
    promise_type() noexcept {}
    static void* operator new(std::size_t size) { return FreeList<BareSpawned>::allocate(size); }
    static void operator delete(void* frame) noexcept { FreeList<BareSpawned>::free(frame); }
    BareSpawned get_return_object() noexcept {
      return {std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_value(int result) noexcept { value = result; }
    void unhandled_exception() const noexcept { std::terminate(); }

    int value;
  };

  std::coroutine_handle<promise_type> frame;
};

// The least that can be called a ready queue: one for the program, so that nobody has to find it first.
class BareRing {
 public:
  static constexpr std::size_t capacity = 16384;

  void push(std::coroutine_handle<> frame) noexcept { frames_[tail_++ % capacity] = frame.address(); }
  std::coroutine_handle<> pop() noexcept {
    return std::coroutine_handle<>::from_address(frames_[head_++ % capacity]);
  }
  void run() {
    while (head_ != tail_) pop().resume();
  }

  // Suspends, and goes to the end of the ring.
  struct Yield {
    bool await_ready() const noexcept { return false; }
    inline void await_suspend(std::coroutine_handle<> frame) const noexcept;
    void await_resume() const noexcept {}
  };
  Yield yield() noexcept { return {}; }

 private:
  std::array<void*, capacity> frames_{};
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

inline constinit BareRing bare_ring;

inline void BareRing::Yield::await_suspend(std::coroutine_handle<> frame) const noexcept {
  bare_ring.push(frame);
}

// Suspends; whoever has the value resumes it through the ring.
struct BareMailbox {
  std::coroutine_handle<> reader;
  int value = 0;

  struct Awaiter {
    BareMailbox& box;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> frame) const noexcept { box.reader = frame; }
    int await_resume() const noexcept { return box.value; }
  };
  Awaiter receive() noexcept { return {*this}; }
  void send(int sent) noexcept {
    value = sent;
    bare_ring.push(reader);
  }
};

}  // namespace gyre::bench
