#include <gyre/reactor/io.h>

#include <cerrno>

namespace gyre {

namespace detail {

namespace {

void cancel_operation(void* leaf, TaskContext& task) noexcept {
  poller_of(task).cancel(*static_cast<Operation*>(leaf));
}

}  // namespace

constinit const WaitKind operation_wait{"input or output", cancel_operation};

Error operation_error(OperationKind kind, std::int64_t result) noexcept {
  if (result == -ECANCELED) {
    const TaskContext& task = *thread_state.current;
    return task.cancel_requested() ? task.cancel_error(kind) : Error(Errc::closed, kind);
  }
  return Error::system(static_cast<std::int32_t>(-result), kind);
}

}  // namespace detail

namespace {

Task<Result<void>> wait_for(NativeDescriptor descriptor, OperationKind kind) {
  Poller& poller = this_reactor().poller();
  const Result<Descriptor*> attached = poller.attach(UniqueFd(descriptor), DescriptorKind::foreign);
  if (!attached) co_return attached.error();
  Descriptor& slot = **attached;
  Operation& operation = kind == OperationKind::readable ? slot.input : slot.output;
  operation.kind = kind;
  const Result<std::size_t> done = co_await OperationAwaiter(operation);
  static_cast<void>(poller.detach(slot).release());
  if (!done) co_return done.error();
  co_return Result<void>{};
}

}  // namespace

Task<Result<void>> wait_readable(NativeDescriptor descriptor) {
  return wait_for(descriptor, OperationKind::readable);
}
Task<Result<void>> wait_writable(NativeDescriptor descriptor) {
  return wait_for(descriptor, OperationKind::writable);
}

}  // namespace gyre
