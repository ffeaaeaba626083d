// FileWorker: one thread that makes the file calls which would block, for pollers that cannot leave them to the kernel.
//
// The thread is started with the first operation and joined by stop(). It touches of an operation only the arguments and
// the result, between add() and take_done().
//
// Threads: the poller's, except the worker's own loop.
#pragma once

#include <cstdint>
#include <memory>

#include <gyre/platform/operation.h>

namespace gyre {

// Makes the call that `operation` (read_at, write_at, open_file, sync_file) asks for, waiting for as long as it takes: >= 0 or a negated errno.
std::int64_t make_file_call(const Operation& operation) noexcept;
// The same without waiting: EAGAIN if that cannot be done.
std::int64_t try_file_call(const Operation& operation) noexcept;

class FileWorker {
 public:
  // `nudge` is called with `poller` after each operation that is done, on the worker's thread.
  FileWorker(void (*nudge)(void* poller) noexcept, void* poller) noexcept;
  ~FileWorker();
  FileWorker(const FileWorker&) = delete;
  FileWorker& operator=(const FileWorker&) = delete;

  // Takes an operation; its arguments stay valid until it is done. False: no memory, or no thread.
  bool add(Operation& operation) noexcept;
  // Takes back an operation that was not begun yet; false: too late.
  bool remove(Operation& operation) noexcept;
  // The same for the oldest of them; null: there is none.
  Operation* remove_first() noexcept;
  // The operations that are done, oldest first, linked by `next`; `result` is set. Null: none.
  Operation* take_done() noexcept;
  // Lets the thread finish what it has begun, and joins it. Operations that were not begun must have been removed.
  void stop() noexcept;

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
  void (*nudge_)(void* poller) noexcept;
  void* poller_;
};

}  // namespace gyre
