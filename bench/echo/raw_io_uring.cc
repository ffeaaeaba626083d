// Floor: io_uring by hand. One request at a time for each connection, receive or send; one enter
// for each batch.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstring>

#include <gyre/platform/io_uring_abi_linux.h>

#include "server.h"

namespace {

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

struct Connection {
  int fd = -1;
  bool sends = false;
  std::uint32_t sent = 0;
  std::uint32_t size = 0;  // of what is being sent
  char buffer[echo::buffer_size];
};

void receive(Ring& ring, Connection& connection) {
  uring::Sqe& entry = ring.entry();
  entry.opcode = uring::op_recv;
  // A request that follows an answer is hardly ever there already.
  entry.ioprio = uring::recvsend_poll_first;
  entry.fd = connection.fd;
  entry.address = reinterpret_cast<std::uint64_t>(connection.buffer);
  entry.length = echo::buffer_size;
  entry.user_data = reinterpret_cast<std::uint64_t>(&connection);
  connection.sends = false;
}

void send(Ring& ring, Connection& connection) {
  uring::Sqe& entry = ring.entry();
  entry.opcode = uring::op_send;
  entry.fd = connection.fd;
  entry.address = reinterpret_cast<std::uint64_t>(connection.buffer + connection.sent);
  entry.length = connection.size - connection.sent;
  entry.user_data = reinterpret_cast<std::uint64_t>(&connection);
  connection.sends = true;
}

void accept(Ring& ring, int listener) {
  uring::Sqe& entry = ring.entry();
  entry.opcode = uring::op_accept;
  entry.ioprio = uring::accept_multishot;
  entry.fd = listener;
}

void serve(Ring& ring, int listener, const uring::Cqe& completion) {
  auto* connection = reinterpret_cast<Connection*>(completion.user_data);
  if (connection == nullptr) {
    if ((completion.flags & uring::cqe_more) == 0) accept(ring, listener);
    if (completion.result < 0) return;
    connection = new Connection;
    connection->fd = completion.result;
    receive(ring, *connection);
  } else if (completion.result <= 0) {
    ::close(connection->fd);
    delete connection;
  } else if (!connection->sends) {
    connection->sent = 0;
    connection->size = static_cast<std::uint32_t>(completion.result);
    send(ring, *connection);
  } else {
    connection->sent += static_cast<std::uint32_t>(completion.result);
    connection->sent < connection->size ? send(ring, *connection) : receive(ring, *connection);
  }
}

}  // namespace

int main() {
  Ring ring;
  const int listener = echo::listen_somewhere(0);
  accept(ring, listener);
  for (;;) {
    ring.enter(1);
    ring.reap([&](const uring::Cqe& completion) { serve(ring, listener, completion); });
  }
}
