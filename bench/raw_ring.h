// RawRing: an io_uring driven by hand, with as little as can be: the floor that the io_uring poller is measured beside.
#pragma once

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstring>

#include <gyre/platform/check.h>
#include <gyre/platform/io_uring_abi_linux.h>

namespace gyre {

class RawRing {
 public:
  RawRing() {
    uring::SetupParameters parameters{};
    parameters.flags = uring::setup_single_issuer | uring::setup_defer_taskrun | uring::setup_taskrun_flag | uring::setup_no_sqarray |
                       uring::setup_submit_all;
    fd_ = static_cast<int>(::syscall(SYS_io_uring_setup, 256, &parameters));
    GYRE_CHECK(fd_ >= 0);
    rings_size_ = parameters.cq.cqes + parameters.cq_entries * sizeof(uring::Cqe);
    rings_ = map(rings_size_, uring::map_sq_ring);
    entries_size_ = parameters.sq_entries * sizeof(uring::Sqe);
    entries_ = map(entries_size_, uring::map_sqes);
    sq_tail_ = word(parameters.sq.tail);
    cq_head_ = word(parameters.cq.head);
    cq_tail_ = word(parameters.cq.tail);
    sq_mask_ = *word(parameters.sq.ring_mask);
    cq_mask_ = *word(parameters.cq.ring_mask);
    cqes_ = reinterpret_cast<uring::Cqe*>(static_cast<char*>(rings_) + parameters.cq.cqes);
    uring::ResourceUpdate update{~0u, 0, static_cast<std::uint64_t>(fd_)};
    GYRE_CHECK(::syscall(SYS_io_uring_register, fd_, uring::register_ring_fds, &update, 1) == 1);
    index_ = static_cast<int>(update.offset);
  }
  ~RawRing() {
    uring::ResourceUpdate update{static_cast<std::uint32_t>(index_), 0, 0};
    ::syscall(SYS_io_uring_register, fd_, uring::unregister_ring_fds, &update, 1);
    ::munmap(rings_, rings_size_);
    ::munmap(entries_, entries_size_);
    ::close(fd_);
  }
  RawRing(const RawRing&) = delete;
  RawRing& operator=(const RawRing&) = delete;

  uring::Sqe& entry(std::uint8_t opcode, int fd, void* buffer, std::size_t size, std::uint64_t user_data) {
    uring::Sqe& entry = static_cast<uring::Sqe*>(entries_)[tail_++ & sq_mask_];
    std::memset(&entry, 0, sizeof(entry));
    entry.opcode = opcode;
    entry.fd = fd;
    entry.address = reinterpret_cast<std::uint64_t>(buffer);
    entry.length = static_cast<std::uint32_t>(size);
    entry.user_data = user_data;
    return entry;
  }
  void enter(unsigned completions_min) {
    const unsigned count = tail_ - submitted_;
    submitted_ = tail_;
    std::atomic_ref<std::uint32_t>(*sq_tail_).store(tail_, std::memory_order_release);
    ++enters;
    const long result = ::syscall(SYS_io_uring_enter, index_, count, completions_min,
                                  uring::enter_get_events | uring::enter_registered_ring | uring::enter_no_iowait, nullptr, 0);
    GYRE_CHECK(result == static_cast<long>(count));
  }
  template <typename Visit>
  void reap(Visit&& visit) {
    const std::uint32_t tail = std::atomic_ref<std::uint32_t>(*cq_tail_).load(std::memory_order_acquire);
    std::uint32_t head = *cq_head_;
    while (head != tail) {
      const uring::Cqe completion = cqes_[head++ & cq_mask_];
      std::atomic_ref<std::uint32_t>(*cq_head_).store(head, std::memory_order_release);
      visit(completion);
    }
  }

  int fd() const { return fd_; }

  std::uint64_t enters = 0;

 private:
  void* map(std::size_t size, std::int64_t offset) const {
    void* const address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_, offset);
    GYRE_CHECK(address != MAP_FAILED);
    return address;
  }
  std::uint32_t* word(std::uint32_t offset) const {
    return reinterpret_cast<std::uint32_t*>(static_cast<char*>(rings_) + offset);
  }

  int fd_ = -1;
  int index_ = -1;
  void* rings_ = nullptr;
  void* entries_ = nullptr;
  std::size_t rings_size_ = 0;
  std::size_t entries_size_ = 0;
  std::uint32_t* sq_tail_ = nullptr;
  std::uint32_t* cq_head_ = nullptr;
  std::uint32_t* cq_tail_ = nullptr;
  uring::Cqe* cqes_ = nullptr;
  std::uint32_t sq_mask_ = 0;
  std::uint32_t cq_mask_ = 0;
  std::uint32_t tail_ = 0;
  std::uint32_t submitted_ = 0;
};

}  // namespace gyre
