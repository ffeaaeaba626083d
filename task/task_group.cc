#include <gyre/task/task_group.h>

#include <new>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/task/scheduler.h>
#include <gyre/task/task_local.h>

namespace gyre {

namespace {

TaskContext& require_task() noexcept {
  TaskContext* const task = current_task();
  GYRE_CHECK_HINT(task != nullptr, "a group without a scheduler was made outside a task");
  return *task;
}

// The children have been told already, by the scope; the join goes on until they have ended.
void cancel_group_join(void*, TaskContext&) noexcept {}
constexpr WaitKind group_wait{"group", cancel_group_join};

TaskFailure failure_of(const TaskContext& task, const Error* error,
                       const std::exception_ptr* exception) {
  return {.task_id = task.id,
          .task_name = detail::record_of(task).name,
          .error = error != nullptr ? *error : Error(),
          .exception = exception != nullptr ? *exception : nullptr};
}

void cancel_join(void* leaf, TaskContext& task) noexcept {
  auto& record = *static_cast<detail::TaskRecord*>(leaf);
  record.joiner = nullptr;
  task.end_wait();
}

}  // namespace

constinit const WaitKind detail::join_wait{"join", cancel_join};

TaskGroup::TaskGroup(OnFailure on_failure)
    : scope_({}, &require_task(), require_task().scheduler(), this), on_failure_(on_failure) {}

TaskGroup::TaskGroup(Scheduler& scheduler, OnFailure on_failure)
    : scope_({}, nullptr, scheduler, this), on_failure_(on_failure) {}

TaskGroup::~TaskGroup() {
  GYRE_CHECK_HINT(children_ == 0,
                  "a TaskGroup ends while its children live: co_await join() or drain() on every way out");
  if (ended_) return;
  // Nobody has asked what became of the children.
  for (const TaskFailure& failure : failures_) scope_.scheduler_.report(failure);
}

// The rare cases leave by tail calls, so that no register has to be saved for their sake; so too at a child's end.
TaskContext* TaskGroup::add_child(void* root, const char* name) {
  Scheduler& scheduler = scope_.scheduler_;
  if (ended_ || scope_.is_effective() || !scheduler.has_room()) [[unlikely]] return add_child_slow(root, name);
  auto* const record = new (&detail::record_of_root(root)) detail::TaskRecord{
      .name = name, .context{&scope_, scheduler.add_task(), last_}};
  TaskContext& child = record->context;
  const TaskContext* const spawner = current_task();
  if (spawner != nullptr) [[likely]] child.locals = detail::retain(spawner->locals);
  (last_ != nullptr ? last_->next : first_) = &child;
  last_ = &child;
  ++children_;
  return &child;
}

TaskContext* TaskGroup::add_child_slow(void* root, const char* name) {
  GYRE_CHECK_HINT(!ended_, "spawn() in a group that has been joined");
  if (scope_.is_effective()) return nullptr;
  scope_.scheduler_.make_room();
  return add_child(root, name);
}

inline void TaskGroup::take_out(TaskContext& child) noexcept {
  (child.previous != nullptr ? child.previous->next : first_) = child.next;
  (child.next != nullptr ? child.next->previous : last_) = child.previous;
  --children_;
  scope_.scheduler_.remove_task(child.id);
  child.state |= TaskContext::finished_bit;
}

// Whoever waits for the child, for room, or for the last child. `plain`: nobody waits for room.
template <bool plain>
inline void TaskGroup::wake_waiting(TaskContext& child) noexcept {
  Scheduler& scheduler = scope_.scheduler_;
  detail::TaskRecord& record = detail::record_of(child);
  if (TaskContext* const joiner = record.joiner) {
    record.joiner = nullptr;
    joiner->leaf = nullptr;
    scheduler.ready(joiner->frame);
  }
  if constexpr (!plain) {
    if (room_ != nullptr) room_->set();
  }
  if (children_ == 0 && waiting_ != nullptr) std::exchange(waiting_, nullptr)->end_wait();
  if ((child.state & TaskContext::has_handle_bit) == 0) scheduler.bury(detail::root_of(child));
}

void TaskGroup::end_child_slow(TaskContext& child, const Error* error,
                               const std::exception_ptr* exception) noexcept {
  take_out(child);
  if (error != nullptr || exception != nullptr) child_failed(child, error, exception);
  // After the report: the failure sink sees what was bound in the task that failed.
  if (child.locals != nullptr) detail::release(std::exchange(child.locals, nullptr));
  wake_waiting<false>(child);
}

void detail::finish_root(TaskContext& child, const Error* error, const std::exception_ptr* exception) noexcept {
  if (error == nullptr && exception == nullptr) return finish_root(child);
  child.scope->group()->end_child_slow(child, error, exception);
}

void detail::finish_root(TaskContext& child) noexcept {
  TaskGroup& group = *child.scope->group();
  if (child.locals != nullptr || group.room_ != nullptr) [[unlikely]] return group.end_child_slow(child, nullptr, nullptr);
  group.take_out(child);
  group.wake_waiting<true>(child);
}

void TaskGroup::child_failed(const TaskContext& child, const Error* error,
                             const std::exception_ptr* exception) noexcept {
  if (exception == nullptr && error->is_cancelled() && child.cancel_requested()) return;
  if (this != &scope_.scheduler_.detached()) {
    failures_.push_back(failure_of(child, error, exception));
  } else if ((child.state & TaskContext::result_wanted_bit) == 0 &&
             detail::record_of(child).joiner == nullptr) {
    scope_.scheduler_.report(failure_of(child, error, exception));
  }
  if (on_failure_ == OnFailure::cancel_siblings) scope_.cancel();
}

void TaskGroup::wait(void* frame, TaskContext& task) noexcept {
  GYRE_CHECK_HINT(waiting_ == nullptr, "two tasks join one TaskGroup");
  GYRE_CHECK_HINT(scope_.task() == nullptr || scope_.task() == &task,
                  "a TaskGroup is joined by another task than made it");
  waiting_ = &task;
  task.wait_in(this, group_wait, frame);
}

Result<void> TaskGroup::end() noexcept {
  const bool timed_out = scope_.timed_out();
  const bool cancelled_outside = scope_.is_effective() && !scope_.is_cancelled();
  if (!ended_) {
    ended_ = true;
    scope_.leave();
  }
  if (!failures_.empty()) {
    const TaskFailure& first = failures_.front();
    return first.exception != nullptr ? Error(Errc::child_failed, OperationKind::join) : first.error;
  }
  if (timed_out) return Error::timed_out(OperationKind::join);
  // A group that can be cancelled from outside is that of a task, which is the one that joins it.
  if (cancelled_outside) return scope_.task()->cancel_error(OperationKind::join);
  return {};
}

Task<Result<void>> TaskGroup::drain(Duration grace) {
  scope_.reschedule(scope_.scheduler_.clock().now() + grace);
  co_return co_await join();
}

Task<Result<void>> TaskGroup::room(std::size_t children_max) {
  GYRE_CHECK_HINT(children_max > 0, "room for no child at all never comes");
  while (children_ >= children_max) {
    detail::Signal child_ended;
    room_ = &child_ended;
    const bool told = co_await child_ended.wait();
    room_ = nullptr;
    if (!told) co_return current_task()->cancel_error(OperationKind::acquire);
  }
  co_return Result<void>{};
}

void TaskGroup::rethrow_exception() const {
  for (const TaskFailure& failure : failures_) {
    if (failure.exception != nullptr) std::rethrow_exception(failure.exception);
  }
}

}  // namespace gyre
