// IntrusiveList<T>: a doubly linked FIFO of nodes that live elsewhere. Nothing allocates, everything is O(1) but
// count_nodes().
//
// T derives from ListLink (or, to be in two lists at once, from two types that derive from it, one of which each list
// names as Hook). A node is in at most one list per hook and leaves it by unlink(), without knowing the list.
//
// Invariant: a link is either unlinked (next_ is null) or in a ring that goes through exactly one list's head.
#pragma once

#include <cstddef>
#include <iterator>

#include <gyre/platform/check.h>

namespace gyre {

namespace detail {
class ListCore;
}

// What a node of a list derives from. Must be unlinked when it dies.
class ListLink {
 public:
  ListLink() noexcept = default;
  ListLink(const ListLink&) = delete;
  ListLink& operator=(const ListLink&) = delete;
  ~ListLink() { GYRE_DCHECK(!is_linked()); }

  bool is_linked() const noexcept { return next_ != nullptr; }

  // Must be linked.
  void unlink() noexcept {
    GYRE_DCHECK(is_linked());
    prev_->next_ = next_;
    next_->prev_ = prev_;
    next_ = nullptr;
    prev_ = nullptr;
  }

 private:
  friend class detail::ListCore;

  ListLink* next_ = nullptr;
  ListLink* prev_ = nullptr;
};

namespace detail {

// The list without types.
class ListCore {
 public:
  ListCore() noexcept { reset(); }
  ListCore(const ListCore&) = delete;
  ListCore& operator=(const ListCore&) = delete;
  ~ListCore() {
    GYRE_DCHECK(empty());
    head_.next_ = nullptr;  // The head is a link too, and its destructor wants it unlinked.
  }

  bool empty() const noexcept { return head_.next_ == &head_; }
  ListLink* first() const noexcept { return head_.next_; }
  ListLink* last() const noexcept { return head_.prev_; }
  const ListLink* end() const noexcept { return &head_; }
  static ListLink* next_of(ListLink* link) noexcept { return link->next_; }

  // Links `node` in front of `position`, a node of a list or a list's end.
  static void insert(ListLink* position, ListLink* node) noexcept {
    GYRE_DCHECK(!node->is_linked());
    node->next_ = position;
    node->prev_ = position->prev_;
    position->prev_->next_ = node;
    position->prev_ = node;
  }
  void push_back(ListLink* node) noexcept { insert(&head_, node); }
  void push_front(ListLink* node) noexcept { insert(head_.next_, node); }

  void splice_back(ListCore& other) noexcept {
    if (other.empty() || &other == this) return;
    ListLink* const first = other.head_.next_;
    ListLink* const last = other.head_.prev_;
    first->prev_ = head_.prev_;
    head_.prev_->next_ = first;
    last->next_ = &head_;
    head_.prev_ = last;
    other.reset();
  }

 private:
  void reset() noexcept {
    head_.next_ = &head_;
    head_.prev_ = &head_;
  }

  ListLink head_;
};

}  // namespace detail

// Must be empty when it dies.
template <typename T, typename Hook = ListLink>
class IntrusiveList {
 public:
  // Visits the nodes from front to back. The node it stands on may unlink itself, and even die; any other node may not.
  // Where callbacks may unlink what they like, use drain().
  class Iterator {
   public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::forward_iterator_tag;
    using pointer = T*;
    using reference = T&;

    Iterator() noexcept = default;
    T& operator*() const noexcept { return *node(at_); }
    T* operator->() const noexcept { return node(at_); }
    Iterator& operator++() noexcept {
      at_ = next_;
      next_ = detail::ListCore::next_of(at_);
      return *this;
    }
    Iterator operator++(int) noexcept {
      Iterator before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const Iterator& a, const Iterator& b) noexcept { return a.at_ == b.at_; }

   private:
    friend class IntrusiveList;
    explicit Iterator(ListLink* at) noexcept : at_(at), next_(detail::ListCore::next_of(at)) {}

    ListLink* at_ = nullptr;
    ListLink* next_ = nullptr;
  };

  bool empty() const noexcept { return core_.empty(); }
  // Null if there is none.
  T* front() const noexcept { return core_.empty() ? nullptr : node(core_.first()); }
  T* back() const noexcept { return core_.empty() ? nullptr : node(core_.last()); }

  void push_back(T& item) noexcept { core_.push_back(link(item)); }
  void push_front(T& item) noexcept { core_.push_front(link(item)); }
  // `position` must be in a list.
  static void insert_before(T& position, T& item) noexcept {
    GYRE_DCHECK(link(position)->is_linked());
    detail::ListCore::insert(link(position), link(item));
  }
  // Unlinks the first node; null if there is none.
  T* pop_front() noexcept {
    if (core_.empty()) return nullptr;
    ListLink* const first = core_.first();
    first->unlink();
    return node(first);
  }
  // Moves all nodes of `other` to the end of this list, in their order.
  void splice_back(IntrusiveList& other) noexcept { core_.splice_back(other.core_); }

  // Unlinks the nodes that are in the list now, one after the other, and calls visit(T&) for each. `visit` may unlink
  // and destroy any node, also those not yet visited, which then are not; what it pushes stays in the list. Must not throw.
  template <typename Visit>
  void drain(Visit&& visit) noexcept {
    IntrusiveList batch;
    batch.splice_back(*this);
    while (T* const item = batch.pop_front()) visit(*item);
  }

  // Walks the list.
  std::size_t count_nodes() const noexcept {
    std::size_t count = 0;
    for (ListLink* at = core_.first(); at != core_.end(); at = detail::ListCore::next_of(at)) ++count;
    return count;
  }

  Iterator begin() const noexcept { return Iterator(core_.first()); }
  Iterator end() const noexcept { return Iterator(const_cast<ListLink*>(core_.end())); }

 private:
  static T* node(ListLink* link) noexcept { return static_cast<T*>(static_cast<Hook*>(link)); }
  static ListLink* link(T& item) noexcept { return static_cast<Hook*>(&item); }

  detail::ListCore core_;
};

}  // namespace gyre
