// Floor: io_uring by hand. 64 slots, each of which receives a datagram, sends it back, and so on; one enter for each batch.
#include <vector>

#include "../echo/ring.h"
#include "../echo/server.h"

namespace {

namespace uring = gyre::uring;

struct Slot {
  msghdr message = {};
  iovec slice = {};
  sockaddr_storage address = {};
  bool sends = false;
  char buffer[2048];
};

void start(echo::Ring& ring, int fd, Slot& slot) {
  uring::Sqe& entry = ring.entry();
  entry.opcode = slot.sends ? uring::op_sendmsg : uring::op_recvmsg;
  entry.fd = fd;
  entry.address = reinterpret_cast<std::uint64_t>(&slot.message);
  entry.length = 1;
  entry.user_data = reinterpret_cast<std::uint64_t>(&slot);
}

void receive(echo::Ring& ring, int fd, Slot& slot) {
  slot.slice = {.iov_base = slot.buffer, .iov_len = sizeof(slot.buffer)};
  slot.message = {};
  slot.message.msg_name = &slot.address;
  slot.message.msg_namelen = sizeof(slot.address);
  slot.message.msg_iov = &slot.slice;
  slot.message.msg_iovlen = 1;
  slot.sends = false;
  start(ring, fd, slot);
}

}  // namespace

int main() {
  echo::Ring ring;
  const int fd = echo::bind_somewhere(0);
  std::vector<Slot> slots(64);
  for (Slot& slot : slots) receive(ring, fd, slot);
  for (;;) {
    ring.enter(1);
    ring.reap([&](const uring::Cqe& completion) {
      Slot& slot = *reinterpret_cast<Slot*>(completion.user_data);
      if (slot.sends || completion.result < 0) return receive(ring, fd, slot);
      slot.slice.iov_len = static_cast<std::size_t>(completion.result);
      slot.sends = true;
      start(ring, fd, slot);
    });
  }
}
