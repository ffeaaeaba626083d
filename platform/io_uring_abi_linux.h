// The kernel's io_uring interface: numbers and layouts, as of Linux 6.18.
//
// Our own, because the header of the system may be years older than the kernel underneath. Which of it the running
// kernel has is asked at run time (IoUringFeatures in io_uring_ring_linux.h), never of the preprocessor.
// tests/io_uring_ring_linux_test.cc compares what the system's header knows too.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gyre::uring {

// Submission queue entry. The kernel's unions are flattened: each field serves several operations.
struct Sqe {
  std::uint8_t opcode;
  std::uint8_t flags;         // sqe_*
  std::uint16_t ioprio;       // of sockets: accept_multishot, recvsend_poll_first, recv_multishot
  std::int32_t fd;
  std::uint64_t offset;       // also: addr2 (length of connect's address, pointer to accept's)
  std::uint64_t address;      // of buffer, slices, msghdr, path; user_data to cancel
  std::uint32_t length;       // bytes, number of slices, file mode; flags of a poll
  std::uint32_t op_flags;     // msg_flags, rw_flags, poll events, accept_flags, open_flags, cancel_flags
  std::uint64_t user_data;
  std::uint16_t buffer_group;
  std::uint16_t personality;
  std::int32_t splice_fd_in;
  std::uint64_t address3;
  std::uint64_t padding;
};
static_assert(sizeof(Sqe) == 64);
static_assert(offsetof(Sqe, user_data) == 32);
static_assert(offsetof(Sqe, splice_fd_in) == 44);

// Completion queue entry.
struct Cqe {
  std::uint64_t user_data;
  std::int32_t result;
  std::uint32_t flags;  // cqe_*; with cqe_buffer, the number of the buffer from cqe_buffer_shift on
};
static_assert(sizeof(Cqe) == 16);

enum Opcode : std::uint8_t {
  op_nop = 0,
  op_readv = 1,
  op_writev = 2,
  op_fsync = 3,
  op_poll_add = 6,
  op_sendmsg = 9,
  op_recvmsg = 10,
  op_accept = 13,
  op_async_cancel = 14,
  op_connect = 16,
  op_openat = 18,
  op_close = 19,
  op_read = 22,
  op_write = 23,
  op_send = 26,
  op_recv = 27,
  op_shutdown = 34,
  op_msg_ring = 40,
  op_last = 64,  // room for the kernels to come
};

// Sqe::flags
inline constexpr std::uint8_t sqe_io_link = 1U << 2;
inline constexpr std::uint8_t sqe_async = 1U << 4;
inline constexpr std::uint8_t sqe_buffer_select = 1U << 5;
inline constexpr std::uint8_t sqe_cqe_skip_success = 1U << 6;  // feature_cqe_skip, 5.17

// Sqe::ioprio of socket operations
inline constexpr std::uint16_t accept_multishot = 1U << 0;       // 5.19
inline constexpr std::uint16_t recvsend_poll_first = 1U << 0;    // 5.19
inline constexpr std::uint16_t recv_multishot = 1U << 1;         // 6.0

// Sqe::length of op_poll_add
inline constexpr std::uint32_t poll_add_multishot = 1U << 0;     // 5.13

// Cqe::flags
inline constexpr std::uint32_t cqe_buffer = 1U << 0;
inline constexpr std::uint32_t cqe_more = 1U << 1;
inline constexpr std::uint32_t cqe_socket_nonempty = 1U << 2;    // 5.19
inline constexpr unsigned cqe_buffer_shift = 16;

// SetupParameters::flags
inline constexpr std::uint32_t setup_cq_size = 1U << 3;
inline constexpr std::uint32_t setup_clamp = 1U << 4;            // 5.6
inline constexpr std::uint32_t setup_disabled = 1U << 6;         // 5.10
inline constexpr std::uint32_t setup_submit_all = 1U << 7;       // 5.18
inline constexpr std::uint32_t setup_coop_taskrun = 1U << 8;     // 5.19
inline constexpr std::uint32_t setup_taskrun_flag = 1U << 9;     // 5.19
inline constexpr std::uint32_t setup_single_issuer = 1U << 12;   // 6.0
inline constexpr std::uint32_t setup_defer_taskrun = 1U << 13;   // 6.1
inline constexpr std::uint32_t setup_no_sqarray = 1U << 16;      // 6.6

// SetupParameters::features
inline constexpr std::uint32_t feature_single_mmap = 1U << 0;    // 5.4
inline constexpr std::uint32_t feature_no_drop = 1U << 1;        // 5.5
inline constexpr std::uint32_t feature_submit_stable = 1U << 2;  // 5.5
inline constexpr std::uint32_t feature_rw_current = 1U << 3;     // 5.6: offset -1 is the file's own position
inline constexpr std::uint32_t feature_fast_poll = 1U << 5;      // 5.7
inline constexpr std::uint32_t feature_ext_arg = 1U << 8;        // 5.11
inline constexpr std::uint32_t feature_cqe_skip = 1U << 11;      // 5.17
inline constexpr std::uint32_t feature_no_iowait = 1U << 17;     // 6.15

// io_uring_enter's flags
inline constexpr std::uint32_t enter_get_events = 1U << 0;
inline constexpr std::uint32_t enter_ext_arg = 1U << 3;          // 5.11
inline constexpr std::uint32_t enter_registered_ring = 1U << 4;  // 5.18
inline constexpr std::uint32_t enter_no_iowait = 1U << 7;        // 6.15

// Flags word of the mapped submission ring
inline constexpr std::uint32_t sq_cq_overflow = 1U << 1;
inline constexpr std::uint32_t sq_taskrun = 1U << 2;

// io_uring_register's operations
inline constexpr unsigned register_probe = 8;
inline constexpr unsigned register_enable_rings = 12;
inline constexpr unsigned register_ring_fds = 20;                // 5.18
inline constexpr unsigned unregister_ring_fds = 21;
inline constexpr unsigned register_pbuf_ring = 22;               // 5.19
inline constexpr unsigned unregister_pbuf_ring = 23;

// Offsets for mmap
inline constexpr std::int64_t map_sq_ring = 0;
inline constexpr std::int64_t map_sqes = 0x10000000;

struct SqOffsets {
  std::uint32_t head, tail, ring_mask, ring_entries, flags, dropped, array, reserved;
  std::uint64_t user_address;
};

struct CqOffsets {
  std::uint32_t head, tail, ring_mask, ring_entries, overflow, cqes, flags, reserved;
  std::uint64_t user_address;
};

struct SetupParameters {
  std::uint32_t sq_entries;
  std::uint32_t cq_entries;
  std::uint32_t flags;
  std::uint32_t sq_thread_cpu;
  std::uint32_t sq_thread_idle;
  std::uint32_t features;
  std::uint32_t wq_fd;
  std::uint32_t reserved[3];
  SqOffsets sq;
  CqOffsets cq;
};
static_assert(sizeof(SetupParameters) == 120);

struct KernelTimespec {
  std::int64_t seconds;
  std::int64_t nanoseconds;
};

// What enter_ext_arg points to.
struct GetEventsArgument {
  std::uint64_t signal_mask;
  std::uint32_t signal_mask_size;
  std::uint32_t min_wait_us;
  std::uint64_t timeout;  // address of a KernelTimespec; 0: none
};
static_assert(sizeof(GetEventsArgument) == 24);

struct ProbeOperation {
  std::uint8_t opcode;
  std::uint8_t reserved;
  std::uint16_t flags;  // probe_supported
  std::uint32_t reserved2;
};
inline constexpr std::uint16_t probe_supported = 1U << 0;

struct Probe {
  std::uint8_t last_op;
  std::uint8_t ops_length;
  std::uint16_t reserved;
  std::uint32_t reserved2[3];
  ProbeOperation ops[op_last];
};
static_assert(sizeof(Probe) == 16 + 8 * op_last);

// One provided buffer. The `reserved` field of the first one is the ring's tail.
struct ProvidedBuffer {
  std::uint64_t address;
  std::uint32_t length;
  std::uint16_t id;
  std::uint16_t reserved;
};
static_assert(sizeof(ProvidedBuffer) == 16);
static_assert(offsetof(ProvidedBuffer, reserved) == 14);

struct RegisterBufferRing {
  std::uint64_t address;
  std::uint32_t entries;
  std::uint16_t group;
  std::uint16_t flags;
  std::uint64_t reserved[3];
};
static_assert(sizeof(RegisterBufferRing) == 40);

// One element of register_ring_fds.
struct ResourceUpdate {
  std::uint32_t offset;
  std::uint32_t reserved;
  std::uint64_t data;
};
static_assert(sizeof(ResourceUpdate) == 16);

}  // namespace gyre::uring
