// IntrusiveQueue<T>: a singly linked FIFO of nodes that live elsewhere: one word per node, no unlinking in the middle.
// Nothing allocates, everything is O(1).
//
// T derives from QueueLink (or from types that derive from it, one of which each queue names as Hook).
//
// Invariant: a link that is in no queue points to itself; the last one of a queue points to null.
#pragma once

#include <utility>

#include <gyre/platform/check.h>

namespace gyre {

namespace detail {
class QueueCore;
}

// What a node of a queue derives from. Must not be queued when it dies.
class QueueLink {
 public:
  QueueLink() noexcept : next_(this) {}
  QueueLink(const QueueLink&) = delete;
  QueueLink& operator=(const QueueLink&) = delete;
  ~QueueLink() { GYRE_DCHECK(!is_queued()); }

  bool is_queued() const noexcept { return next_ != this; }

 private:
  friend class detail::QueueCore;

  QueueLink* next_;
};

namespace detail {

// The queue without types.
class QueueCore {
 public:
  QueueCore() noexcept = default;
  QueueCore(QueueCore&& other) noexcept
      : first_(std::exchange(other.first_, nullptr)), last_(std::exchange(other.last_, nullptr)) {}
  QueueCore& operator=(QueueCore&& other) noexcept {
    GYRE_DCHECK(empty());
    first_ = std::exchange(other.first_, nullptr);
    last_ = std::exchange(other.last_, nullptr);
    return *this;
  }
  ~QueueCore() { GYRE_DCHECK(empty()); }

  bool empty() const noexcept { return first_ == nullptr; }
  QueueLink* first() const noexcept { return first_; }

  void push_back(QueueLink* node) noexcept {
    GYRE_DCHECK(!node->is_queued());
    node->next_ = nullptr;
    if (first_ == nullptr) {
      first_ = node;
    } else {
      last_->next_ = node;
    }
    last_ = node;
  }
  void push_front(QueueLink* node) noexcept {
    GYRE_DCHECK(!node->is_queued());
    if (first_ == nullptr) last_ = node;
    node->next_ = std::exchange(first_, node);
  }
  QueueLink* pop_front() noexcept {
    QueueLink* const node = first_;
    if (node != nullptr) first_ = std::exchange(node->next_, node);
    return node;
  }
  void append(QueueCore& other) noexcept {
    if (other.first_ == nullptr || &other == this) return;
    if (first_ == nullptr) {
      first_ = other.first_;
    } else {
      last_->next_ = other.first_;
    }
    last_ = other.last_;
    other.first_ = nullptr;
  }

 private:
  QueueLink* first_ = nullptr;
  QueueLink* last_ = nullptr;  // meaningful only if first_ is not null
};

}  // namespace detail

// Movable; must be empty when it dies or is assigned to.
template <typename T, typename Hook = QueueLink>
class IntrusiveQueue {
 public:
  bool empty() const noexcept { return core_.empty(); }
  // Null if there is none.
  T* front() const noexcept { return core_.empty() ? nullptr : node(core_.first()); }

  void push_back(T& item) noexcept { core_.push_back(link(item)); }
  void push_front(T& item) noexcept { core_.push_front(link(item)); }
  // Null if there is none.
  T* pop_front() noexcept {
    QueueLink* const first = core_.pop_front();
    return first == nullptr ? nullptr : node(first);
  }
  // Moves all nodes of `other` to the end of this queue, in their order.
  void append(IntrusiveQueue& other) noexcept { core_.append(other.core_); }

 private:
  static T* node(QueueLink* link) noexcept { return static_cast<T*>(static_cast<Hook*>(link)); }
  static QueueLink* link(T& item) noexcept { return static_cast<Hook*>(&item); }

  detail::QueueCore core_;
};

}  // namespace gyre
