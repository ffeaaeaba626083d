#include <gyre/task/signal.h>

namespace gyre::detail {

constinit const WaitKind Signal::wait_kind{"signal", cancel};

void Signal::cancel(void* leaf, TaskContext& task) noexcept {
  static_cast<Signal*>(leaf)->waiter_ = nullptr;
  task.end_wait();
}

}  // namespace gyre::detail
