#include <gyre/task/cpu_pool.h>

#include <mutex>
#include <vector>

#include <gyre/platform/check.h>
#include <gyre/platform/thread.h>
#include <gyre/task/pool_end.h>

namespace gyre {

namespace {

// The worker whose thread this is. Read only by plain functions, never kept across an await.
constinit thread_local detail::CpuWorker* current_worker = nullptr;

// Visits to all other deques before a thread gives up searching, each after a pause: some microseconds.
constexpr int search_rounds = 64;
// See Parking::offer().
constexpr Duration second_look_after = std::chrono::milliseconds(1);

}  // namespace

class CpuPool::Worker final : public detail::CpuWorker {
 public:
  Worker(State& pool, unsigned number) noexcept;

  static void run_on(void* worker) noexcept;
  State& pool() const noexcept { return pool_; }

  std::shared_ptr<State> keep;  // until the thread takes it along
  Thread thread;
  std::atomic<std::uint64_t> steals{0};
  std::atomic<std::uint64_t> sleeps{0};

 private:
  void run_jobs() noexcept;
  // From anybody's deque; null if a few rounds find nothing, or a job has come meanwhile.
  void* search() noexcept;

  State& pool_;
  const unsigned number_;
  unsigned victim_;
};

struct CpuPool::State {
  explicit State(unsigned count) noexcept : parking(count > 1 ? count / 2 : 1) {}

  Parking parking;
  JobCounts counts;  // changed under the mutex (but for finish()); read anywhere
  ThreadCount threads;
  std::vector<std::unique_ptr<Worker>> workers;  // made before the first job; then never changed

  // Jobs come and go once each; the pieces of a Work do not pass here.
  mutable std::mutex mutex;
  IntrusiveList<Job> waiting;
  IntrusiveList<Job> running;
  JobStats stats;

  bool has_work() const noexcept {
    if (counts.waiting() != 0) return true;
    for (const auto& worker : workers) {
      if (!worker->deque().looks_empty()) return true;
    }
    return false;
  }

  Job* begin_job() noexcept {
    if (!counts.has_waiting()) return nullptr;
    const std::lock_guard lock(mutex);
    Job* const job = waiting.pop_front();
    if (job == nullptr) return nullptr;
    running.push_back(*job);
    job->is_waiting = false;
    counts.begin();
    const Duration waited = steady_clock().now() - job->queued_at;
    stats.queue_time_total += waited;
    if (waited > stats.queue_time_max) stats.queue_time_max = waited;
    return job;
  }
  void run_job(Job& job) noexcept {
    const bool ends_later = job.ends_later;
    job.work(job);
    if (!ends_later) finish(job);
  }
  void finish(Job& job) noexcept {
    {
      const std::lock_guard lock(mutex);
      job.unlink();
      ++stats.finished;
    }
    job.end(job, true);
    // Not before: who waits for the threads also waits for the last word to the job's owner.
    if (counts.finish()) parking.notify_all();
  }
  void ask_to_stop() noexcept {
    const std::lock_guard lock(mutex);
    if (counts.is_stopping()) return;
    counts.stop();
    for (Job& job : running) {
      if (job.request_stop != nullptr) job.request_stop(job);
    }
  }
  Job* take_back() noexcept {
    const std::lock_guard lock(mutex);
    Job* const job = waiting.pop_front();
    if (job == nullptr) return nullptr;
    job->is_waiting = false;
    counts.take_back();
    return job;
  }
  // Under the mutex.
  static bool start_workers(const std::shared_ptr<State>& pool, const CpuPoolOptions& options,
                            unsigned count) noexcept {
    auto& workers = pool->workers;
    if (!workers.empty()) return true;
    std::vector<std::unique_ptr<Worker>> all;
    for (unsigned i = 0; i < count; ++i) all.push_back(std::make_unique<Worker>(*pool, i));
    workers = std::move(all);
    for (unsigned i = 0; i < count; ++i) {
      const ThreadOptions thread_options{.name = options.name,
                                         .processor = options.pin_threads ? static_cast<int>(i) : -1};
      pool->threads.add();
      workers[i]->keep = pool;
      Result<Thread> thread = Thread::start(Worker::run_on, workers[i].get(), thread_options);
      if (!thread) {
        pool->threads.remove();
        workers[i]->keep.reset();
        break;  // with fewer threads than wanted all still gets done
      }
      workers[i]->thread = std::move(*thread);
      ++pool->stats.threads;
    }
    if (pool->stats.threads == 0) workers.clear();
    return pool->stats.threads != 0;
  }
};

CpuPool::Worker::Worker(State& pool, unsigned number) noexcept
    : pool_(pool), number_(number), victim_(number) {
  parking_ = &pool.parking;
}

void CpuPool::Worker::run_on(void* worker) noexcept {
  auto& self = *static_cast<Worker*>(worker);
  const std::shared_ptr<State> pool = std::move(self.keep);
  self.run_jobs();
  pool->threads.remove();
}

void CpuPool::Worker::run_jobs() noexcept {
  current_worker = this;
  bool searching = false;
  for (;;) {
    Job* const job = pool_.begin_job();
    if (job == nullptr && !searching) searching = pool_.parking.begin_search();
    void* const frame = job == nullptr && searching ? search() : nullptr;
    if (job != nullptr || frame != nullptr) {
      if (std::exchange(searching, false)) pool_.parking.found();
      if (job != nullptr) {
        pool_.run_job(*job);
      } else {
        steals.fetch_add(1, std::memory_order_relaxed);
        run_taken(frame);
      }
      continue;
    }
    if (pool_.counts.is_over()) {
      if (searching) pool_.parking.found();
      return;
    }
    if (pool_.counts.has_waiting()) continue;
    sleeps.fetch_add(1, std::memory_order_relaxed);
    pool_.parking.sleep(searching, steady_clock().now() + second_look_after,
                        [this] { return pool_.has_work() || pool_.counts.is_over(); });
    searching = true;
  }
}

void* CpuPool::Worker::search() noexcept {
  const unsigned count = static_cast<unsigned>(pool_.workers.size());
  if (count < 2) return nullptr;
  for (int round = 0; round < search_rounds; ++round) {
    // Begins where it last found something.
    for (unsigned i = 0; i < count; ++i) {
      if (victim_ != number_) {
        void* const frame = pool_.workers[victim_]->deque().steal();
        if (frame != nullptr) return frame;
      }
      victim_ = victim_ + 1 == count ? 0 : victim_ + 1;
    }
    if (pool_.counts.has_waiting()) return nullptr;
    for (int i = 0; i < 8; ++i) relax_processor();
  }
  return nullptr;
}

CpuPool::CpuPool(const CpuPoolOptions& options)
    : options_(options),
      threads_(options.threads != 0 ? options.threads : count_processors()),
      state_(std::make_shared<State>(threads_)) {}

CpuPool::~CpuPool() {
  if (!has_given_up_) stop();
  for (const auto& worker : state_->workers) {
    if (worker->thread) worker->thread.detach();
  }
}

Submitted CpuPool::submit(Job& job) noexcept {
  State& state = *state_;
  const Instant now = steady_clock().now();
  {
    const std::lock_guard lock(state.mutex);
    Submitted refusal = Submitted::queued;
    if (state.counts.is_stopping()) {
      refusal = Submitted::stopped;
    } else if (state.counts.waiting() >= options_.waiting_max) {
      refusal = Submitted::full;
    } else if (!State::start_workers(state_, options_, threads_)) {
      refusal = Submitted::no_thread;
    }
    if (refusal != Submitted::queued) {
      ++state.stats.refused;
      return refusal;
    }
    job.queued_at = now;
    job.is_waiting = true;
    state.waiting.push_back(job);
    state.counts.add_waiting();
    ++state.stats.submitted;
  }
  state.parking.notify();
  return Submitted::queued;
}

bool CpuPool::withdraw(Job& job) noexcept {
  const std::lock_guard lock(state_->mutex);
  if (!job.is_waiting) return false;
  job.is_waiting = false;
  job.unlink();
  state_->counts.take_back();
  ++state_->stats.withdrawn;
  return true;
}

void CpuPool::finish(Job& job) noexcept { static_cast<Worker*>(current_worker)->pool().finish(job); }

StopReport CpuPool::stop_until(Instant deadline) noexcept {
  State& state = *state_;
  StopReport report;
  state.ask_to_stop();
  while (Job* const job = state.take_back()) {
    job->end(*job, false);
    ++report.cancelled;
  }
  state.parking.notify_all();
  if (!state.threads.wait(deadline)) report.unfinished = state.counts.running();
  has_given_up_ = report.unfinished != 0;
  if (has_given_up_) return report;
  // Without jobs they are on their way out.
  for (const auto& worker : state.workers) {
    if (worker->thread) worker->thread.join();
  }
  return report;
}

CpuPoolStats CpuPool::stats() const noexcept {
  CpuPoolStats stats;
  const std::lock_guard lock(state_->mutex);
  stats.jobs = state_->stats;
  stats.jobs.waiting = state_->counts.waiting();
  stats.jobs.running = state_->counts.running();
  for (const auto& worker : state_->workers) {
    stats.steals += worker->steals.load(std::memory_order_relaxed);
    stats.sleeps += worker->sleeps.load(std::memory_order_relaxed);
  }
  stats.sleeping = state_->parking.count_sleeping();
  return stats;
}

bool CpuPool::is_stalled() const noexcept {
  const std::lock_guard lock(state_->mutex);
  return state_->stats.threads != 0 && state_->parking.count_sleeping() == state_->stats.threads && state_->has_work();
}

namespace detail {

WorkStart::WorkStart(Job& job, WorkPromiseBase& work, void* frame, void* result) noexcept
    : job_(job), frame_(frame) {
  ended = [](WorkRoot& root) noexcept { CpuPool::finish(static_cast<WorkStart&>(root).job_); };
  job.ends_later = true;
  work.kind = WorkKind::root;
  work.parent = static_cast<WorkRoot*>(this);
  work.result = result;
}

void WorkStart::begin() noexcept {
  CpuWorker& worker = *current_worker;
  work_promise_of(frame_).worker = &worker;
  worker.run(frame_);
}

Error error_of(Submitted refusal) noexcept {
  switch (refusal) {
    case Submitted::full:
      return Error(Errc::limit_exceeded, OperationKind::offload);
    case Submitted::no_thread:
      return Error::system(static_cast<int>(std::errc::resource_unavailable_try_again), OperationKind::offload);
    case Submitted::stopped:
    case Submitted::queued:
      break;
  }
  return Error(Errc::stopped, OperationKind::offload);
}

}  // namespace detail

}  // namespace gyre
