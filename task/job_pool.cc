#include <gyre/task/job_pool.h>

#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

#include <gyre/platform/check.h>
#include <gyre/platform/thread.h>
#include <gyre/task/pool_end.h>

namespace gyre {

CpuPool* JobRunner::as_cpu_pool() noexcept {
  GYRE_CHECK_HINT(false, "a Work needs a CpuPool");
  return nullptr;
}

struct JobPool::State {
  struct Worker {
    std::shared_ptr<State> pool;  // until the thread takes it along
    Job* job = nullptr;           // runs now
    Thread thread;
  };

  // The calls that these threads make take longer than a mutex.
  mutable std::mutex mutex;
  std::condition_variable changed;
  // All guarded by the mutex.
  IntrusiveList<Job> waiting;
  std::vector<std::unique_ptr<Worker>> workers;
  unsigned idle = 0;
  bool stopping = false;
  JobStats stats;

  ThreadCount threads;

  static void run_on(void* worker) noexcept {
    auto& self = *static_cast<Worker*>(worker);
    const std::shared_ptr<State> pool = std::move(self.pool);
    pool->run(self);
    pool->threads.remove();
  }

  void run(Worker& self) noexcept {
    std::unique_lock lock(mutex);
    for (;;) {
      while (waiting.empty() && !stopping) {
        ++idle;
        changed.wait(lock);
        --idle;
      }
      if (stopping) return;
      Job& job = begin(self);
      lock.unlock();
      job.work(job);
      lock.lock();
      self.job = nullptr;
      --stats.running;
      ++stats.finished;
      lock.unlock();
      job.end(job, true);
      lock.lock();
    }
  }

  // Under the mutex.
  Job& begin(Worker& self) noexcept {
    Job& job = *waiting.pop_front();
    --stats.waiting;
    ++stats.running;
    const Duration waited = steady_clock().now() - job.queued_at;
    stats.queue_time_total += waited;
    if (waited > stats.queue_time_max) stats.queue_time_max = waited;
    self.job = &job;
    return job;
  }

  Job* take_first() noexcept {
    const std::lock_guard lock(mutex);
    Job* const job = waiting.pop_front();
    if (job != nullptr) --stats.waiting;
    return job;
  }

  void ask_to_stop() noexcept {
    const std::lock_guard lock(mutex);
    if (std::exchange(stopping, true)) return;
    for (const auto& worker : workers) {
      Job* const job = worker->job;
      if (job != nullptr && job->request_stop != nullptr) job->request_stop(*job);
    }
    changed.notify_all();
  }
  std::size_t count_running() const noexcept {
    const std::lock_guard lock(mutex);
    return stats.running;
  }

  // Under the mutex. False: the system gives no thread.
  static bool start_worker(const std::shared_ptr<State>& pool, const char* name) noexcept {
    State& self = *pool;
    auto worker = std::make_unique<Worker>();
    worker->pool = pool;
    self.threads.add();
    Result<Thread> thread = Thread::start(run_on, worker.get(), {.name = name});
    if (!thread) {
      self.threads.remove();
      return false;
    }
    worker->thread = std::move(*thread);
    self.workers.push_back(std::move(worker));
    ++self.stats.threads;
    return true;
  }
};

JobPool::JobPool(const JobPoolOptions& options)
    : options_(options), state_(std::make_shared<State>()) {
  GYRE_CHECK(options.threads_max > 0);
  state_->workers.reserve(options.threads_max);
}

JobPool::~JobPool() {
  if (!has_given_up_) stop();
  for (const auto& worker : state_->workers) {
    if (worker->thread) worker->thread.detach();
  }
}

Submitted JobPool::submit(Job& job) noexcept {
  const Instant now = steady_clock().now();
  State& state = *state_;
  GYRE_CHECK_HINT(!job.ends_later, "only a CpuPool runs what ends later");
  const std::lock_guard lock(state.mutex);
  Submitted refusal = Submitted::queued;
  if (state.stopping) {
    refusal = Submitted::stopped;
  } else if (state.stats.waiting >= options_.waiting_max) {
    refusal = Submitted::full;
  } else if (state.idle <= state.stats.waiting && state.workers.size() < options_.threads_max &&
             !State::start_worker(state_, options_.name) && state.workers.empty()) {
    refusal = Submitted::no_thread;
  }
  if (refusal != Submitted::queued) {
    ++state.stats.refused;
    return refusal;
  }
  job.queued_at = now;
  state.waiting.push_back(job);
  ++state.stats.waiting;
  ++state.stats.submitted;
  state.changed.notify_one();
  return Submitted::queued;
}

bool JobPool::withdraw(Job& job) noexcept {
  const std::lock_guard lock(state_->mutex);
  // Linked exactly while it waits: both are changed under the mutex.
  if (!job.is_linked()) return false;
  job.unlink();
  --state_->stats.waiting;
  ++state_->stats.withdrawn;
  return true;
}

StopReport JobPool::stop_until(Instant deadline) noexcept {
  State& state = *state_;
  StopReport report;
  state.ask_to_stop();
  // One by one: others may withdraw theirs meanwhile.
  while (Job* const job = state.take_first()) {
    job->end(*job, false);
    ++report.cancelled;
  }
  if (!state.threads.wait(deadline)) report.unfinished = state.count_running();
  has_given_up_ = report.unfinished != 0;
  if (has_given_up_) return report;
  // Without jobs they are on their way out.
  for (const auto& worker : state.workers) {
    if (worker->thread) worker->thread.join();
  }
  return report;
}

JobStats JobPool::stats() const noexcept {
  const std::lock_guard lock(state_->mutex);
  return state_->stats;
}

}  // namespace gyre
