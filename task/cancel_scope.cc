#include <gyre/task/cancel_scope.h>

#include <utility>

#include <gyre/platform/check.h>
#include <gyre/task/context.h>
#include <gyre/task/scheduler.h>
#include <gyre/task/task_group.h>
#include <gyre/task/task_tree.h>

namespace gyre {

namespace {

TaskContext& require_task() noexcept {
  TaskContext* const task = current_task();
  GYRE_CHECK_HINT(task != nullptr, "a scope or group was made outside a task");
  return *task;
}

// Tells one task that a scope around it is cancelled.
void deliver(TaskContext& task) noexcept {
  task.scheduler().check_thread();
  task.state |= TaskContext::cancel_requested_bit;
  if (task.leaf == nullptr) return;  // it runs or is ready: its next checkpoint reports
  void* const leaf = task.leaf;
  task.leaf = nullptr;  // asked once per wait
  task.wait_kind->cancel(leaf, task);
}

// Works out again what the task's cancel flag has to be, after its innermost scope has changed.
void update_request(TaskContext& task) noexcept {
  bool requested = (task.state & TaskContext::cancelled_itself_bit) != 0;
  const CancelScope* const scope = task.scope;
  if (scope != nullptr) {
    requested = scope->task() == &task ? scope->is_effective() : requested || scope->is_effective();
  }
  if (requested) {
    task.state |= TaskContext::cancel_requested_bit;
  } else {
    task.state &= ~TaskContext::cancel_requested_bit;
  }
}

}  // namespace

CancelScope::CancelScope(const CancelScopeOptions& options)
    : CancelScope(options, &require_task(), require_task().scheduler(), nullptr) {}

CancelScope::CancelScope(const CancelScopeOptions& options, TaskContext* task, Scheduler& scheduler,
                         TaskGroup* group)
    : task_(task),
      scheduler_(scheduler),
      group_(group),
      deadline_(options.deadline),
      timer_(*this),
      shielded_(options.shielded) {
  enter();
}

CancelScope::~CancelScope() {
  if (entered_) leave();
}

CancelScopeOptions CancelScope::within(Duration timeout) {
  Scheduler& scheduler = require_task().scheduler();
  if (timeout <= Duration::zero()) return {.deadline = scheduler.now()};
  return {.deadline = scheduler.clock().now() + timeout};
}

void CancelScope::enter() noexcept {
  entered_ = true;
  if (task_ != nullptr) {
    parent_ = task_->scope;
    effective_ = !shielded_ && task_->cancel_requested();
    task_->scope = this;
    update_request(*task_);
  }
  if (deadline_ <= scheduler_.now()) {
    cancel(CancelReason::deadline);
  } else if (deadline_ != never) {
    scheduler_.timers().arm(timer_, deadline_);
  }
}

void CancelScope::leave() noexcept {
  entered_ = false;
  if (timer_.is_armed()) scheduler_.timers().cancel(timer_);
  if (task_ == nullptr) return;
  if (task_->scope == this) {
    task_->scope = parent_;
  } else {
    // Ended out of order: whoever stands right inside moves outwards. What was cancelled with this scope stays so.
    CancelScope* inner = task_->scope;
    while (inner != nullptr && inner->task_ == task_ && inner->parent_ != this) inner = inner->parent_;
    GYRE_CHECK_HINT(inner != nullptr && inner->parent_ == this,
                    "a scope or group ended in another task than it began in");
    inner->parent_ = parent_;
  }
  update_request(*task_);
}

void CancelScope::cancel(CancelReason reason) noexcept {
  if (reason_ != CancelReason::none || !entered_) {
    if (reason_ == CancelReason::none) reason_ = reason;
    return;
  }
  reason_ = reason;
  if (timer_.is_armed()) scheduler_.timers().cancel(timer_);
  if (!effective_) cancel_tasks(*this, deliver);
}

void CancelScope::on_deadline(Timer& timer) noexcept {
  CancelScope& scope = static_cast<Deadline&>(timer).scope;
  scope.scheduler_.expire(scope);
}

void CancelScope::reschedule(Instant deadline) noexcept {
  if (is_cancelled()) return;
  deadline_ = deadline;
  if (timer_.is_armed()) scheduler_.timers().cancel(timer_);
  if (deadline <= scheduler_.now()) {
    cancel(CancelReason::deadline);
  } else if (deadline != never) {
    scheduler_.timers().arm(timer_, deadline);
  }
}

void CancelScope::set_hook(CancelHook* hook) noexcept {
  hook_ = hook;
  if (effective_) call_hook();
}

void CancelScope::call_hook() noexcept {
  if (CancelHook* const hook = std::exchange(hook_, nullptr)) hook->on_cancel(*hook);
}

bool CancelScope::timed_out() const noexcept {
  if (reason_ != CancelReason::deadline) return false;
  if (shielded_ || task_ == nullptr) return true;
  if (parent_ != nullptr && parent_->task_ == task_) return !parent_->effective_;
  const bool outside = parent_ != nullptr && parent_->effective_;
  return !outside && (task_->state & TaskContext::cancelled_itself_bit) == 0;
}

void TaskContext::cancel() noexcept {
  if ((state & (cancelled_itself_bit | finished_bit)) != 0) return;
  state |= cancelled_itself_bit;
  cancel_task(*this, deliver);
}

Error TaskContext::cancel_error(OperationKind operation) const noexcept {
  for (CancelScope* s = scope; s != nullptr && s->is_effective(); s = s->parent()) {
    s->reported_ = true;
  }
  // Directly inside an expired scope, and nothing further out is to blame.
  if (scope != nullptr && scope->task() == this && scope->timed_out()) {
    return Error::timed_out(operation);
  }
  return Error::cancelled(operation);
}

Instant current_deadline() noexcept {
  const TaskContext* const task = current_task();
  if (task == nullptr) return never;
  Instant earliest = never;
  for (const CancelScope* scope = task->scope; scope != nullptr; scope = scope->parent()) {
    if (scope->deadline() < earliest) earliest = scope->deadline();
    if (scope->is_shielded()) break;
  }
  return earliest;
}

}  // namespace gyre
