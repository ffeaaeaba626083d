// IoUringRing: one pair of io_uring queues, mapped by hand; no liburing, no policy.
//
// It is opened on any thread and bound to the thread that calls bind(): from then on only that one may touch it (checked
// by the kernel too, where it knows SINGLE_ISSUER). Entries that get_entry() hands out are seen by the kernel at the next
// enter(). The mappings are not inherited by a forked child, which faults if it touches them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <gyre/platform/clock.h>
#include <gyre/platform/io_uring_abi_linux.h>
#include <gyre/platform/poller.h>
#include <gyre/platform/result.h>
#include <gyre/platform/unique_fd.h>

namespace gyre {

// What the running kernel has, less what a tier hides. Linux versions say when it came.
struct IoUringFeatures {
  bool defer_taskrun = false;       // 6.1: work is done inside enter() only; includes taskrun_flag
  bool taskrun_flag = false;        // 5.19: the ring tells when an enter() would find work to do
  bool registered_ring = false;     // 5.18
  bool no_iowait = false;           // 6.15: a sleeping loop is idle, not waiting for a disk
  bool cqe_skip = false;            // 5.17
  bool multishot_poll = false;      // 5.13
  bool multishot_accept = false;    // 5.19
  bool multishot_receive = false;   // 6.0
  bool poll_first = false;          // 5.19, with the hint whether a socket holds more
  bool buffer_rings = false;        // 5.19
};

struct IoUringOptions {
  std::uint32_t submissions = 256;
  std::uint32_t completions = 1024;
  PollerOptions::Tier tier = PollerOptions::Tier::full;
};

class IoUringRing {
 public:
  IoUringRing() = default;
  ~IoUringRing();
  IoUringRing(const IoUringRing&) = delete;
  IoUringRing& operator=(const IoUringRing&) = delete;

  // Opens the queues, after it has seen a NOP complete on a ring of its own: a kernel or a filter may grant the set-up
  // and refuse the rest. Errors: function_not_supported, operation_not_permitted, permission_denied where io_uring is
  // missing, too old (before 5.11) or forbidden; too_many_files_open, not_enough_memory.
  Result<void> open(const IoUringOptions& options) noexcept;

  // Unmaps and closes it. What is in flight is cancelled by the kernel, some time later and silently.
  void close() noexcept;

  // Makes the calling thread the one that submits. Errors: what the kernel says.
  Result<void> bind() noexcept;
  bool is_bound() const noexcept { return bound_; }
  // Undoes what bind() did beyond the ring: call it on the bound thread before the ring dies.
  void unbind() noexcept;

  // A zeroed entry for the next enter(), or null if the queue is full.
  uring::Sqe* get_entry() noexcept {
    if (sq_tail_ - sq_head_seen_ >= sq_entries_) [[unlikely]] {
      sq_head_seen_ = load_acquire(sq_head_);
      if (sq_tail_ - sq_head_seen_ >= sq_entries_) return nullptr;
    }
    uring::Sqe* const entry = &sqes_[sq_tail_ & sq_mask_];
    ++sq_tail_;
    std::memset(entry, 0, sizeof(*entry));
    return entry;
  }
  // Entries that the kernel has not taken yet.
  std::uint32_t entries_waiting() const noexcept { return sq_tail_ - load_acquire(sq_head_); }
  // Takes back the newest entry that the kernel has not taken; null if it has taken all. Valid until the next get_entry().
  const uring::Sqe* take_back() noexcept;

  // Submits what is waiting, does deferred work and, if `completions_min` is not 0, sleeps until as many completions are
  // visible or `timeout` has passed (Duration::max(): for ever). Returns what the kernel returns: entries taken (also if
  // the wait then failed), or a negated errno: EINTR, ETIME, EAGAIN and ENOMEM (memory is short), EBUSY (take completions
  // first), EBADR (completions were lost for want of memory).
  std::int64_t enter(std::uint32_t completions_min, Duration timeout) noexcept;
  // Submits only: no deferred work is done, no completion is made visible that was not.
  std::int64_t submit() noexcept;

  // The user_data of the next two completions: of old ones, or 0, where there are none yet.
  struct Coming {
    std::uint64_t next;
    std::uint64_t later;
  };
  // Takes completions out of the queue, the oldest first, and calls visit(Cqe, Coming) for each, until it returns false or
  // none is visible. It may use the ring, but not take completions.
  template <typename Visit>
  [[gnu::always_inline]] void take_completions(Visit&& visit) noexcept {
    const uring::Cqe* const cqes = cqes_;
    const std::uint32_t mask = cq_mask_;
    const std::atomic_ref<std::uint32_t> shared_head(*cq_head_);
    std::uint32_t head = cq_head_local_;
    for (;;) {
      if (head == cq_tail_seen_) {
        cq_tail_seen_ = load_acquire(cq_tail_);
        if (head == cq_tail_seen_) return;
      }
      const uring::Cqe completion = cqes[head & mask];
      ++head;
      cq_head_local_ = head;
      // Release: the kernel may overwrite the entry once it sees the new head.
      shared_head.store(head, std::memory_order_release);
      if (!visit(completion, Coming{cqes[head & mask].user_data, cqes[(head + 1) & mask].user_data})) return;
    }
  }
  // The oldest completion alone. False: none is visible.
  bool take_completion(uring::Cqe& out) noexcept {
    bool came = false;
    take_completions([&](const uring::Cqe& completion, Coming) {
      out = completion;
      came = true;
      return false;
    });
    return came;
  }
  // Whether completions that the last enter() has left to be taken still are: the number of those is bounded, whatever is
  // submitted meanwhile.
  bool has_rest() const noexcept { return static_cast<std::int32_t>(cq_tail_entered_ - cq_head_local_) > 0; }
  bool has_completions() const noexcept {
    return cq_head_local_ != load_acquire(cq_tail_);
  }
  // Whether an enter() would make completions visible without sleeping: deferred work, or an overflown queue.
  bool has_hidden_work() const noexcept {
    return (load_relaxed(sq_flags_) & (uring::sq_taskrun | uring::sq_cq_overflow)) != 0;
  }
  bool has_overflown() const noexcept {
    return (load_relaxed(sq_flags_) & uring::sq_cq_overflow) != 0;
  }

  const IoUringFeatures& features() const noexcept { return features_; }
  NativeDescriptor fd() const noexcept { return fd_.get(); }
  std::uint32_t submissions() const noexcept { return sq_entries_; }
  std::uint32_t completions() const noexcept { return cq_entries_; }
  std::uint64_t system_calls() const noexcept { return system_calls_; }

  // io_uring_register on this ring.
  std::int64_t register_with(unsigned opcode, void* argument, unsigned count) noexcept;

 private:
  // A mapping of kernel memory; unmapped at the end.
  struct Mapping {
    void* address = nullptr;
    std::size_t size = 0;
  };

  static std::uint32_t load_acquire(std::uint32_t* word) noexcept {
    return std::atomic_ref<std::uint32_t>(*word).load(std::memory_order_acquire);
  }
  static std::uint32_t load_relaxed(std::uint32_t* word) noexcept {
    return std::atomic_ref<std::uint32_t>(*word).load(std::memory_order_relaxed);
  }

  std::int64_t enter_for(std::uint32_t completions_min, Duration timeout, std::uint32_t flags) noexcept;
  Result<void> open_queues(const IoUringOptions& options) noexcept;
  Result<void> map_queues(const uring::SetupParameters& parameters) noexcept;
  Result<void> map(Mapping& mapping, std::size_t size, std::int64_t offset) noexcept;
  Result<void> check_nop() noexcept;
  void find_features(std::uint32_t kernel_features, PollerOptions::Tier tier) noexcept;

  void publish() noexcept {
    // Release: the entries are written before the kernel sees the tail.
    std::atomic_ref<std::uint32_t>(*sq_tail_shared_).store(sq_tail_, std::memory_order_release);
  }

  // Set once, by open().
  UniqueFd fd_;
  Mapping rings_;
  Mapping entries_;
  IoUringFeatures features_;
  std::uint32_t setup_flags_ = 0;
  std::uint32_t sq_entries_ = 0;
  std::uint32_t sq_mask_ = 0;
  std::uint32_t cq_entries_ = 0;
  std::uint32_t cq_mask_ = 0;
  uring::Sqe* sqes_ = nullptr;
  const uring::Cqe* cqes_ = nullptr;
  // Shared with the kernel: it moves sq_head_, cq_tail_ and sq_flags_; we move the other two.
  std::uint32_t* sq_head_ = nullptr;
  std::uint32_t* sq_tail_shared_ = nullptr;
  std::uint32_t* sq_flags_ = nullptr;
  std::uint32_t* cq_head_ = nullptr;
  std::uint32_t* cq_tail_ = nullptr;

  // Bound thread only.
  bool bound_ = false;
  std::uint32_t enter_flags_ = 0;          // enter_registered_ring, enter_no_iowait
  NativeDescriptor enter_fd_ = no_descriptor;  // the descriptor, or its registered index
  std::uint32_t sq_tail_ = 0;
  std::uint32_t sq_head_seen_ = 0;
  std::uint32_t cq_head_local_ = 0;
  std::uint32_t cq_tail_seen_ = 0;
  std::uint32_t cq_tail_entered_ = 0;      // at the end of the last enter()
  std::uint64_t system_calls_ = 0;
};

}  // namespace gyre
