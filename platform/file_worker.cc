#include <gyre/platform/file_worker.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <utility>

#include <gyre/platform/operation_ring.h>
#include <gyre/platform/thread.h>

namespace gyre {

struct FileWorker::Shared {
  std::mutex mutex;
  std::condition_variable changed;
  OperationRing waiting;   // guarded by mutex
  bool stopping = false;   // guarded by mutex
  // Newest first. The worker pushes (release), the poller takes all (acquire).
  std::atomic<Operation*> done = nullptr;
  Thread thread;
  void (*nudge)(void* poller) noexcept = nullptr;
  void* poller = nullptr;

  static void run_on(void* shared) noexcept { static_cast<Shared*>(shared)->run(); }

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
      nudge(poller);
    }
  }
};

FileWorker::FileWorker(void (*nudge)(void* poller) noexcept, void* poller) noexcept
    : nudge_(nudge), poller_(poller) {}

FileWorker::~FileWorker() { stop(); }

bool FileWorker::add(Operation& operation) noexcept {
  if (shared_ == nullptr) {
    shared_.reset(new (std::nothrow) Shared);
    if (shared_ == nullptr) return false;
  }
  Shared& shared = *shared_;
  if (!shared.thread) {
    shared.nudge = nudge_;
    shared.poller = poller_;
    Result<Thread> started = Thread::start(&Shared::run_on, &shared, {.name = "gyre-files"});
    if (!started) return false;
    shared.thread = std::move(*started);
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
  if (shared_ == nullptr || !shared_->thread) return;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stopping = true;
    shared_->changed.notify_one();
  }
  shared_->thread.join();
  shared_->stopping = false;
}

}  // namespace gyre
