// OperationList: a FIFO of operations whose arguments are dead, linked through Operation::next.
#pragma once

#include <gyre/platform/operation.h>

namespace gyre {

class OperationList {
 public:
  bool empty() const noexcept { return first_ == nullptr; }

  void push(Operation& operation) noexcept {
    operation.next = nullptr;
    if (first_ == nullptr) {
      first_ = &operation;
    } else {
      last_->next = &operation;
    }
    last_ = &operation;
  }
  // Null if there is none.
  Operation* pop() noexcept {
    Operation* const operation = first_;
    if (operation != nullptr) first_ = operation->next;
    return operation;
  }
  // Takes an operation out of the middle; false if it is not here. Walks.
  bool remove(Operation& operation) noexcept {
    Operation* before = nullptr;
    for (Operation* at = first_; at != nullptr; before = at, at = at->next) {
      if (at != &operation) continue;
      (before == nullptr ? first_ : before->next) = at->next;
      if (last_ == at) last_ = before;
      return true;
    }
    return false;
  }

 private:
  Operation* first_ = nullptr;
  Operation* last_ = nullptr;
};

}  // namespace gyre
