// Our own copy of the kernel's io_uring interface, against the system's header as far as that knows it, and the ring
// that is built on it.
#include <linux/io_uring.h>

#include <cerrno>
#include <cstddef>

#include <gtest/gtest.h>

#include <gyre/platform/fault_plan.h>
#include <gyre/platform/io_uring_abi_linux.h>
#include <gyre/platform/io_uring_ring_linux.h>

namespace gyre {
namespace {

// --- Numbers and layouts ---------------------------------------------------------------------------------------------

TEST(IoUringAbiTest, OperationsHaveTheKernelsNumbers) {
  EXPECT_EQ(+uring::op_nop, +IORING_OP_NOP);
  EXPECT_EQ(+uring::op_readv, +IORING_OP_READV);
  EXPECT_EQ(+uring::op_writev, +IORING_OP_WRITEV);
  EXPECT_EQ(+uring::op_poll_add, +IORING_OP_POLL_ADD);
  EXPECT_EQ(+uring::op_sendmsg, +IORING_OP_SENDMSG);
  EXPECT_EQ(+uring::op_recvmsg, +IORING_OP_RECVMSG);
  EXPECT_EQ(+uring::op_accept, +IORING_OP_ACCEPT);
  EXPECT_EQ(+uring::op_async_cancel, +IORING_OP_ASYNC_CANCEL);
  EXPECT_EQ(+uring::op_connect, +IORING_OP_CONNECT);
  EXPECT_EQ(+uring::op_openat, +IORING_OP_OPENAT);
  EXPECT_EQ(+uring::op_close, +IORING_OP_CLOSE);
  EXPECT_EQ(+uring::op_read, +IORING_OP_READ);
  EXPECT_EQ(+uring::op_write, +IORING_OP_WRITE);
  EXPECT_EQ(+uring::op_send, +IORING_OP_SEND);
  EXPECT_EQ(+uring::op_recv, +IORING_OP_RECV);
  EXPECT_EQ(+uring::op_shutdown, +IORING_OP_SHUTDOWN);
}

TEST(IoUringAbiTest, FlagsHaveTheKernelsValues) {
  EXPECT_EQ(uring::sqe_buffer_select, IOSQE_BUFFER_SELECT);
  EXPECT_EQ(uring::sqe_cqe_skip_success, IOSQE_CQE_SKIP_SUCCESS);
  EXPECT_EQ(uring::poll_add_multishot, IORING_POLL_ADD_MULTI);
  EXPECT_EQ(uring::cqe_buffer, IORING_CQE_F_BUFFER);
  EXPECT_EQ(uring::cqe_more, IORING_CQE_F_MORE);
  EXPECT_EQ(uring::cqe_socket_nonempty, IORING_CQE_F_SOCK_NONEMPTY);
  EXPECT_EQ(uring::setup_cq_size, IORING_SETUP_CQSIZE);
  EXPECT_EQ(uring::setup_clamp, IORING_SETUP_CLAMP);
  EXPECT_EQ(uring::setup_disabled, IORING_SETUP_R_DISABLED);
  EXPECT_EQ(uring::setup_submit_all, IORING_SETUP_SUBMIT_ALL);
  EXPECT_EQ(uring::setup_coop_taskrun, IORING_SETUP_COOP_TASKRUN);
  EXPECT_EQ(uring::setup_taskrun_flag, IORING_SETUP_TASKRUN_FLAG);
  EXPECT_EQ(uring::feature_single_mmap, IORING_FEAT_SINGLE_MMAP);
  EXPECT_EQ(uring::feature_no_drop, IORING_FEAT_NODROP);
  EXPECT_EQ(uring::feature_ext_arg, IORING_FEAT_EXT_ARG);
  EXPECT_EQ(uring::feature_cqe_skip, IORING_FEAT_CQE_SKIP);
  EXPECT_EQ(uring::enter_get_events, IORING_ENTER_GETEVENTS);
  EXPECT_EQ(uring::enter_ext_arg, IORING_ENTER_EXT_ARG);
  EXPECT_EQ(uring::enter_registered_ring, IORING_ENTER_REGISTERED_RING);
  EXPECT_EQ(uring::sq_cq_overflow, IORING_SQ_CQ_OVERFLOW);
  EXPECT_EQ(uring::sq_taskrun, IORING_SQ_TASKRUN);
  EXPECT_EQ(uring::register_enable_rings, +IORING_REGISTER_ENABLE_RINGS);
  EXPECT_EQ(uring::register_ring_fds, +IORING_REGISTER_RING_FDS);
  EXPECT_EQ(uring::unregister_ring_fds, +IORING_UNREGISTER_RING_FDS);
}

TEST(IoUringAbiTest, StructuresHaveTheKernelsLayout) {
  EXPECT_EQ(sizeof(uring::Sqe), sizeof(io_uring_sqe));
  EXPECT_EQ(offsetof(uring::Sqe, offset), offsetof(io_uring_sqe, off));
  EXPECT_EQ(offsetof(uring::Sqe, address), offsetof(io_uring_sqe, addr));
  EXPECT_EQ(offsetof(uring::Sqe, length), offsetof(io_uring_sqe, len));
  EXPECT_EQ(offsetof(uring::Sqe, op_flags), offsetof(io_uring_sqe, rw_flags));
  EXPECT_EQ(offsetof(uring::Sqe, user_data), offsetof(io_uring_sqe, user_data));
  EXPECT_EQ(offsetof(uring::Sqe, buffer_group), offsetof(io_uring_sqe, buf_index));
  EXPECT_EQ(offsetof(uring::Cqe, result), offsetof(io_uring_cqe, res));
  EXPECT_EQ(offsetof(uring::Cqe, flags), offsetof(io_uring_cqe, flags));
  EXPECT_EQ(sizeof(uring::SetupParameters), sizeof(io_uring_params));
  EXPECT_EQ(offsetof(uring::SetupParameters, features), offsetof(io_uring_params, features));
  EXPECT_EQ(offsetof(uring::SetupParameters, sq), offsetof(io_uring_params, sq_off));
  EXPECT_EQ(offsetof(uring::SetupParameters, cq), offsetof(io_uring_params, cq_off));
  EXPECT_EQ(sizeof(uring::GetEventsArgument), sizeof(io_uring_getevents_arg));
}

// --- The ring --------------------------------------------------------------------------------------------------------

bool is_denied(const Error& error) {
  return error == std::errc::operation_not_permitted || error == std::errc::permission_denied ||
         error == std::errc::function_not_supported;
}

TEST(IoUringRingTest, EntriesCompleteInOneEnterAndAFullQueueGivesNone) {
  IoUringRing ring;
  const Result<void> opened = ring.open({.submissions = 2, .completions = 4});
  if (!opened && is_denied(opened.error())) GTEST_SKIP() << opened.error();
  ASSERT_TRUE(opened.has_value()) << opened.error();
  ASSERT_TRUE(ring.bind().has_value());
  for (std::uint64_t i = 1; i <= 2; ++i) {
    uring::Sqe* const entry = ring.get_entry();
    ASSERT_NE(entry, nullptr);
    entry->opcode = uring::op_nop;
    entry->user_data = i;
  }
  EXPECT_EQ(ring.get_entry(), nullptr);
  EXPECT_EQ(ring.enter(2, Duration::max()), 2);
  uring::Cqe completion{};
  for (std::uint64_t i = 1; i <= 2; ++i) {
    ASSERT_TRUE(ring.take_completion(completion));
    EXPECT_EQ(completion.user_data, i);
    EXPECT_EQ(completion.result, 0);
  }
  EXPECT_FALSE(ring.take_completion(completion));
  EXPECT_NE(ring.get_entry(), nullptr);
  EXPECT_NE(ring.take_back(), nullptr);
  EXPECT_EQ(ring.take_back(), nullptr);
  ring.unbind();
}

TEST(IoUringRingTest, EnterSleepsNoLessThanItsTimeout) {
  IoUringRing ring;
  const Result<void> opened = ring.open({});
  if (!opened && is_denied(opened.error())) GTEST_SKIP() << opened.error();
  ASSERT_TRUE(opened.has_value()) << opened.error();
  ASSERT_TRUE(ring.bind().has_value());
  for (const std::int64_t ns : {1, 999'999, 1'000'001}) {
    const Instant due = steady_clock().now() + Duration(ns);
    EXPECT_EQ(ring.enter(1, Duration(ns)), -ETIME);
    EXPECT_GE(steady_clock().now(), due);
  }
  ring.unbind();
}

// A filter may grant the set-up and refuse what comes after: the NOP tells.
TEST(IoUringRingTest, OpenTellsARefusalOfEachCall) {
  if (!fault_injection) GTEST_SKIP() << "this build injects no failures";
  for (const long number : {425L, 426L}) {
    for (const int error : {EPERM, EACCES, ENOSYS}) {
      sys::FaultPlan plan;
      plan.add(sys::FaultRule{.number = number,
                              .times = sys::FaultRule::sticky,
                              .fault = {sys::Fault::Kind::fail, error}});
      const sys::FaultScope scope(plan);
      IoUringRing ring;
      const Result<void> opened = ring.open({});
      ASSERT_FALSE(opened.has_value());
      EXPECT_TRUE(is_denied(opened.error())) << opened.error();
    }
  }
}

}  // namespace
}  // namespace gyre
