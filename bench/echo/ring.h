// An io_uring by hand, for servers with thousands of connections: an SQ of 1,024 entries and room for 32,768 completions.
#pragma once

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstring>

#include <gyre/platform/io_uring_abi_linux.h>

#include "server.h"

namespace echo {

namespace uring = gyre::uring;

class Ring {
 public:
  Ring() {
    uring::SetupParameters parameters = {};
    parameters.flags = uring::setup_single_issuer | uring::setup_defer_taskrun |
                       uring::setup_taskrun_flag | uring::setup_no_sqarray |
                       uring::setup_submit_all | uring::setup_cq_size;
    parameters.cq_entries = 32768;
    fd_ = static_cast<int>(::syscall(SYS_io_uring_setup, entries_count, &parameters));
    if (fd_ < 0) echo::fail("io_uring_setup");
    rings_ = static_cast<char*>(
        map(parameters.cq.cqes + parameters.cq_entries * sizeof(uring::Cqe), uring::map_sq_ring));
    entries_ =
        static_cast<uring::Sqe*>(map(parameters.sq_entries * sizeof(uring::Sqe), uring::map_sqes));
    sq_tail_ = word(parameters.sq.tail);
    cq_head_ = word(parameters.cq.head);
    cq_tail_ = word(parameters.cq.tail);
    cq_mask_ = *word(parameters.cq.ring_mask);
    cqes_ = reinterpret_cast<uring::Cqe*>(rings_ + parameters.cq.cqes);
  }

  uring::Sqe& entry() {
    if (tail_ - submitted_ == entries_count) enter(0);
    uring::Sqe& entry = entries_[tail_++ & (entries_count - 1)];
    std::memset(&entry, 0, sizeof(entry));
    return entry;
  }
  void enter(unsigned completions_min) {
    std::atomic_ref<std::uint32_t>(*sq_tail_).store(tail_, std::memory_order_release);
    const long result = ::syscall(SYS_io_uring_enter, fd_, tail_ - submitted_, completions_min,
                                  uring::enter_get_events, nullptr, 0);
    if (result > 0) submitted_ += static_cast<std::uint32_t>(result);
  }
  template <typename Visit>
  void reap(Visit visit) {
    const std::uint32_t tail =
        std::atomic_ref<std::uint32_t>(*cq_tail_).load(std::memory_order_acquire);
    std::uint32_t head = *cq_head_;
    for (; head != tail; ++head) visit(cqes_[head & cq_mask_]);
    std::atomic_ref<std::uint32_t>(*cq_head_).store(head, std::memory_order_release);
  }

 private:
  static constexpr unsigned entries_count = 1024;

  void* map(std::size_t size, std::int64_t offset) const {
    void* const address =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_, offset);
    if (address == MAP_FAILED) echo::fail("mmap");
    return address;
  }
  std::uint32_t* word(std::uint32_t offset) const {
    return reinterpret_cast<std::uint32_t*>(rings_ + offset);
  }

  int fd_ = -1;
  char* rings_ = nullptr;
  uring::Sqe* entries_ = nullptr;
  uring::Cqe* cqes_ = nullptr;
  std::uint32_t* sq_tail_ = nullptr;
  std::uint32_t* cq_head_ = nullptr;
  std::uint32_t* cq_tail_ = nullptr;
  std::uint32_t cq_mask_ = 0;
  std::uint32_t tail_ = 0;
  std::uint32_t submitted_ = 0;
};

}  // namespace echo
