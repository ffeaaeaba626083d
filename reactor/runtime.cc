#include <gyre/reactor/runtime.h>

#include <atomic>
#include <mutex>

#include <gyre/platform/answer_word.h>
#include <gyre/platform/check.h>
#include <gyre/platform/thread.h>

namespace gyre {

struct Runtime::Member {
  Runtime* runtime = nullptr;
  unsigned index = 0;
  std::unique_ptr<Reactor> reactor;
  RemoteReactor remote;
  Thread thread;
  bool was_started = false;

  // The reactor's thread, until that has been joined.
  TaskContext* task = nullptr;
  bool stop_asked = false;
  Result<void> result;

  // Any thread.
  struct Stop : Inbox::Message {
    Member* member = nullptr;
  } stop;
  std::atomic<bool> stop_posted{false};
  mutable std::mutex mutex;
  bool has_ended = false;  // guarded by the mutex, as are:
  ReactorStats last_stats;

  static void run_on(void* member) noexcept { static_cast<Member*>(member)->run(); }

  void run() noexcept {
    GYRE_TRY(result = reactor->run_until(run_main(*this, runtime->main_->make(index)));)
    GYRE_CATCH(..., result = Error(Errc::child_failed, OperationKind::join);)
    const bool failed = !result && !(result.error().is_cancelled() && stop_asked);
    if (failed) runtime->stop();
    if (!failed) result = Result<void>();
    reactor->shutdown();
    const std::lock_guard lock(mutex);
    has_ended = true;
    last_stats = reactor->stats();
  }

  // Its thread is at its last steps, if they are not done yet.
  ReactorStats wait_for_last_stats() const noexcept {
    for (;; yield_processor()) {
      const std::lock_guard lock(mutex);
      if (has_ended) return last_stats;
    }
  }

  static void on_stop(Inbox::Message& message, bool) noexcept {
    Member& self = *static_cast<Stop&>(message).member;
    self.stop_asked = true;
    if (self.task != nullptr) self.task->cancel();
  }
};

Runtime::Runtime(std::shared_ptr<Pools> pools) : pools_(std::move(pools)) {}

Result<std::unique_ptr<Runtime>> Runtime::create(const RuntimeOptions& options) {
  std::unique_ptr<Runtime> runtime(new Runtime(std::make_shared<Pools>(options.pools)));
  runtime->pin_threads_ = options.pin_threads;
  const unsigned count = options.reactors != 0 ? options.reactors : count_processors();
  for (unsigned i = 0; i < count; ++i) {
    ReactorOptions reactor_options;
    if (options.configure != nullptr) options.configure(options.configure_owner, i, reactor_options);
    reactor_options.pools = runtime->pools_;
    Result<std::unique_ptr<Reactor>> reactor = Reactor::create(std::move(reactor_options));
    if (!reactor) return reactor.error();
    auto member = std::make_unique<Member>();
    member->runtime = runtime.get();
    member->index = i;
    member->reactor = std::move(*reactor);
    member->remote = member->reactor->remote();
    member->stop.member = member.get();
    member->stop.deliver = Member::on_stop;
    runtime->members_.push_back(std::move(member));
  }
  return runtime;
}

Runtime::~Runtime() {
  stop();
  static_cast<void>(join());
  // Reactors that were never started end here; their pools after them.
  members_.clear();
}

Task<Result<void>> Runtime::run_main(Member& member, Task<Result<void>> main) {
  struct Forget {
    Member& member;
    ~Forget() { member.task = nullptr; }
  };
  member.task = current_task();
  const Forget forget{member};
  if (member.stop_asked) member.task->cancel();
  co_return co_await std::move(main);
}

Result<void> Runtime::launch(std::unique_ptr<Main> main) {
  GYRE_CHECK_HINT(main_ == nullptr, "a Runtime starts once");
  main_ = std::move(main);
  for (const auto& member : members_) {
    const ThreadOptions options{.name = "reactor",
                                .processor = pin_threads_ ? static_cast<int>(member->index) : -1};
    Result<Thread> thread = Thread::start(Member::run_on, member.get(), options);
    if (!thread) {
      stop();
      static_cast<void>(join());
      return thread.error();
    }
    member->thread = std::move(*thread);
    member->was_started = true;
  }
  return {};
}

void Runtime::stop() noexcept {
  for (const auto& member : members_) {
    // Refused: it has ended.
    if (!member->stop_posted.exchange(true, std::memory_order_relaxed)) {
      static_cast<void>(member->remote.post_message(member->stop));
    }
  }
}

Result<void> Runtime::join() {
  for (const auto& member : members_) {
    if (member->thread) member->thread.join();
  }
  for (const auto& member : members_) {
    if (!member->result) return member->result;
  }
  return {};
}

unsigned Runtime::size() const noexcept { return static_cast<unsigned>(members_.size()); }

RemoteReactor Runtime::remote(unsigned index) const {
  GYRE_CHECK(index < members_.size());
  return members_[index]->remote;
}

std::vector<ReactorStats> Runtime::stats() const {
  struct Question : Inbox::Message {
    const Reactor* reactor = nullptr;
    ReactorStats answer;
    AnswerWord is_answered;  // no: the reactor has ended
  };
  std::vector<ReactorStats> all;
  for (const auto& member : members_) {
    Question question;
    question.reactor = member->reactor.get();
    question.deliver = [](Inbox::Message& message, bool wanted) noexcept {
      auto& self = static_cast<Question&>(message);
      if (wanted) self.answer = self.reactor->stats();
      self.is_answered.answer(wanted);
    };
    // A reactor that no thread runs would never answer.
    if (member->thread && member->remote.post_message(question) && question.is_answered.wait()) {
      all.push_back(question.answer);
      continue;
    }
    all.push_back(member->was_started ? member->wait_for_last_stats() : ReactorStats());
  }
  return all;
}

}  // namespace gyre
