// Floors: epoll by hand, `raw_epoll batch` (recvmmsg and sendmmsg of up to 64) or `raw_epoll single`.
#include <sys/epoll.h>

#include <string_view>
#include <vector>

#include "../echo/server.h"

namespace {

constexpr unsigned batch_max = 64;
constexpr std::size_t datagram_max = 2048;

struct Batch {
  std::vector<char> buffer = std::vector<char>(batch_max * datagram_max);
  std::vector<iovec> slices = std::vector<iovec>(batch_max);
  std::vector<sockaddr_storage> addresses = std::vector<sockaddr_storage>(batch_max);
  std::vector<mmsghdr> messages = std::vector<mmsghdr>(batch_max);

  // For receiving again into the first `count`.
  void prepare(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      slices[i] = {.iov_base = buffer.data() + i * datagram_max, .iov_len = datagram_max};
      messages[i].msg_hdr = {};
      messages[i].msg_hdr.msg_name = &addresses[i];
      messages[i].msg_hdr.msg_namelen = sizeof(addresses[i]);
      messages[i].msg_hdr.msg_iov = &slices[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
  }
};

void echo_batch(int fd, Batch& batch) {
  const int count = ::recvmmsg(fd, batch.messages.data(), batch_max, MSG_DONTWAIT, nullptr);
  if (count <= 0) return;
  for (int i = 0; i < count; ++i) batch.slices[static_cast<unsigned>(i)].iov_len = batch.messages[static_cast<unsigned>(i)].msg_len;
  for (int sent = 0; sent < count;) {
    const int done = ::sendmmsg(fd, batch.messages.data() + sent, static_cast<unsigned>(count - sent), 0);
    sent += done < 0 ? 1 : done;  // one that cannot be sent is lost
  }
  batch.prepare(static_cast<unsigned>(count));
}

void echo_all(int fd, char* buffer) {
  for (;;) {
    sockaddr_storage address;
    socklen_t size = sizeof(address);
    auto* const from = reinterpret_cast<sockaddr*>(&address);
    const ssize_t count = ::recvfrom(fd, buffer, datagram_max, MSG_DONTWAIT, from, &size);
    if (count < 0) return;
    // One that cannot be sent is lost.
    [[maybe_unused]] const ssize_t sent = ::sendto(fd, buffer, static_cast<std::size_t>(count), 0, from, size);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bool in_batches = std::string_view(argv[argc - 1]) != "single";
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  const int fd = echo::bind_somewhere(SOCK_NONBLOCK);
  epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) echo::fail("epoll_ctl");
  Batch batch;
  batch.prepare(batch_max);
  for (;;) {
    if (::epoll_wait(epoll, &event, 1, -1) != 1) continue;
    in_batches ? echo_batch(fd, batch) : echo_all(fd, batch.buffer.data());
  }
}
