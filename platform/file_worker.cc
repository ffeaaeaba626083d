#include <gyre/platform/file_worker.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>

#include <gyre/platform/check.h>
#include <gyre/platform/operation_ring.h>
#include <gyre/platform/poller.h>
#include <gyre/platform/readiness.h>
#include <gyre/platform/syscalls_posix.h>

namespace gyre {
namespace {

int native_open_flags(std::size_t flags) noexcept {
  // O_NONBLOCK: opening a FIFO or a terminal must not wait for its other end. Regular files do not care.
  int native = O_NONBLOCK | O_NOCTTY;
  const bool reads = (flags & open_read) != 0;
  const bool writes = (flags & (open_write | open_append)) != 0;
  native |= writes ? (reads ? O_RDWR : O_WRONLY) : O_RDONLY;
  if ((flags & open_create) != 0) native |= O_CREAT;
  if ((flags & open_exclusive) != 0) native |= O_EXCL;
  if ((flags & open_truncate) != 0) native |= O_TRUNC;
  if ((flags & open_append) != 0) native |= O_APPEND;
  if ((flags & open_directory) != 0) native |= O_DIRECTORY;
  return native;
}

std::int64_t transfer(const Operation& operation, int flags) noexcept {
  GYRE_CHECK_HINT(operation.offset >= 0, "a file offset is not negative");
  iovec slice{};
  slice.iov_base = operation.buffer;
  slice.iov_len = operation.size < sys::transfer_max ? operation.size : sys::transfer_max;
  const NativeDescriptor fd = operation.descriptor->native;
  return operation.kind == OperationKind::read_at
             ? sys::preadv2(fd, &slice, 1, operation.offset, flags)
             : sys::pwritev2(fd, &slice, 1, operation.offset, flags);
}

}  // namespace

std::int64_t make_file_call(const Operation& operation) noexcept {
  if (operation.kind == OperationKind::open_file) {
    return sys::openat(AT_FDCWD, operation.path, native_open_flags(operation.size),
                       static_cast<unsigned>(operation.offset));
  }
  if (operation.kind == OperationKind::sync_file) return sys::fsync(operation.descriptor->native);
  return transfer(operation, 0);
}

std::int64_t try_file_call(const Operation& operation) noexcept {
  if (operation.kind == OperationKind::sync_file) return -EAGAIN;
  if (operation.kind == OperationKind::open_file) {
    const std::int64_t result =
        sys::open_cached(AT_FDCWD, operation.path, native_open_flags(operation.size),
                         static_cast<unsigned>(operation.offset));
    // What a kernel, a filter or a file system that lacks this answers; the plain call knows better.
    const bool unknown = result == -ENOSYS || result == -EINVAL || result == -EPERM || result == -E2BIG;
    return unknown ? -EAGAIN : result;
  }
  const std::int64_t result = transfer(operation, sys::no_wait);
  const bool unknown = result == -EOPNOTSUPP || result == -EINVAL || result == -ENOSYS;
  return unknown ? -EAGAIN : result;
}

struct FileWorker::Shared {
  std::mutex mutex;
  std::condition_variable changed;
  OperationRing waiting;   // guarded by mutex
  bool stopping = false;   // guarded by mutex
  // Newest first. The worker pushes (release), the poller takes all (acquire).
  std::atomic<Operation*> done = nullptr;
  bool started = false;
  pthread_t thread{};
  ReadinessPoller* poller = nullptr;

  static void* run_on(void* shared) noexcept {
    static_cast<Shared*>(shared)->run();
    return nullptr;
  }

  void run() noexcept {
    for (;;) {
      Operation* operation = nullptr;
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] { return stopping || !waiting.empty(); });
        operation = waiting.pop();
        if (operation == nullptr) return;
      }
      operation->result = make_file_call(*operation);
      Operation* newest = done.load(std::memory_order_relaxed);
      do {
        operation->next = newest;
      } while (!done.compare_exchange_weak(newest, operation, std::memory_order_release,
                                           std::memory_order_relaxed));
      poller->nudge();
    }
  }
};

FileWorker::FileWorker(ReadinessPoller& poller) noexcept : poller_(poller) {}

FileWorker::~FileWorker() { stop(); }

bool FileWorker::add(Operation& operation) noexcept {
  if (shared_ == nullptr) {
    shared_.reset(new (std::nothrow) Shared);
    if (shared_ == nullptr) return false;
  }
  Shared& shared = *shared_;
  if (!shared.started) {
    shared.poller = &poller_;
    if (sys::start_thread(&shared.thread, &Shared::run_on, &shared) < 0) return false;
    shared.started = true;
  }
  const std::lock_guard lock(shared.mutex);
  if (!shared.waiting.reserve(shared.waiting.size() + 1)) return false;
  shared.waiting.push(operation);
  shared.changed.notify_one();
  return true;
}

bool FileWorker::remove(Operation& operation) noexcept {
  if (shared_ == nullptr) return false;
  const std::lock_guard lock(shared_->mutex);
  return shared_->waiting.remove(operation);
}

Operation* FileWorker::remove_first() noexcept {
  if (shared_ == nullptr) return nullptr;
  const std::lock_guard lock(shared_->mutex);
  return shared_->waiting.pop();
}

Operation* FileWorker::take_done() noexcept {
  if (shared_ == nullptr) return nullptr;
  Operation* newest = shared_->done.exchange(nullptr, std::memory_order_acquire);
  Operation* oldest = nullptr;
  while (newest != nullptr) {
    Operation* const older = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = older;
  }
  return oldest;
}

void FileWorker::stop() noexcept {
  if (shared_ == nullptr || !shared_->started) return;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stopping = true;
    shared_->changed.notify_one();
  }
  sys::join_thread(shared_->thread);
  shared_->started = false;
  shared_->stopping = false;
}

}  // namespace gyre
