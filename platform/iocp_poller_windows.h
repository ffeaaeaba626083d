// The IOCP poller (Windows 10 or newer, Wine).
//
// An operation in flight has a record, which holds the OVERLAPPED and whatever else the system may write to. What has a
// good overlapped form is asked for in it (AcceptEx, ConnectEx, WSARecv, TransmitFile, ReadFile, WriteFile).
// What has not is called without waiting, and where that would block the socket is polled: by the request that select()
// is made of, overlapped, through one socket that the poller keeps for that. So it is with sends (cancelled half done,
// one could not say how many bytes have gone), peeks, lent buffers (an idle socket holds none), batches, and datagrams (it
// is not documented whether one that is cut off at once sends a packet).
// A handle that belongs to another poller's port (it was detached there, and this Windows cannot take it back) is
// polled for everything.
//
// Invariants: 1. A record in the stages kernel to pool has exactly one packet coming, and dies after that. 2. A record is
// in at most one list: ready_ in the stages due and ready, starved_ in that stage. 3. No descriptor is closed while an
// operation on it has a packet coming.
#pragma once

#include <gyre/platform/syscalls_windows.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <gyre/platform/check.h>
#include <gyre/platform/descriptor_table.h>
#include <gyre/platform/iocp_operations_windows.h>
#include <gyre/platform/lent_buffers.h>
#include <gyre/platform/poller.h>
#include <gyre/platform/slot_table.h>
#include <gyre/platform/thread.h>
#include <gyre/platform/wake_word.h>

namespace gyre {

// A descriptor that polls ready so often in a row, and then would have blocked, is broken.
inline constexpr std::uint16_t fruitless_max = 1000;

class IocpPoller final : public Poller {
 public:
  explicit IocpPoller(const PollerOptions& options) noexcept
      : options_(options),
        clock_(options.clock != nullptr ? *options.clock : steady_clock()),
        lent_(options.lent_buffers, options.lent_buffer_size) {}
  ~IocpPoller() override;

  Result<void> open() noexcept;

  Result<Descriptor*> attach(UniqueFd fd, DescriptorKind kind) noexcept override;
  UniqueFd detach(Descriptor& descriptor) noexcept override;
  void close(Descriptor& descriptor) noexcept override;
  bool start(Operation& operation) noexcept override;
  void cancel(Operation& operation) noexcept override;
  std::size_t wait(Instant deadline) noexcept override;
  void wake() noexcept override;
  void give_back(void* buffer) noexcept override;
  void shutdown() noexcept override;
  NativeDescriptor native_handle() const noexcept override;
  std::string_view name() const noexcept override { return "iocp"; }
  PollerStats stats() const noexcept override;
  std::size_t in_flight() const noexcept override { return records_.size(); }

 private:
  static constexpr ULONG entries_max = 64;

  // Starting.
  void check_thread() const noexcept { GYRE_DCHECK(owner_ == nullptr || owner_ == &thread_mark); }
  bool answer(Operation& operation, std::int64_t result) noexcept;
  InFlight* begin(Operation& operation, std::uint8_t traits) noexcept;
  InFlight& record_of(const Operation& operation) noexcept;
  bool is_overlapped(Descriptor& descriptor) noexcept;
  std::int64_t attempt(InFlight& record) noexcept;
  std::int64_t call(InFlight& record) noexcept;
  void end_input(Descriptor& descriptor) noexcept;
  std::int64_t receive_into_lent(InFlight& record) noexcept;
  std::int64_t ask_for(InFlight& record) noexcept;
  std::int64_t conclude_or_repeat(InFlight& record, std::int64_t result) noexcept;
  std::int64_t poll(InFlight& record) noexcept;
  std::int64_t wait_for_handle(InFlight& record) noexcept;
  std::int64_t give_to_pool(InFlight& record) noexcept;
  void cancel_in_pool(InFlight& record) noexcept;
  bool start_close(Operation& operation) noexcept;
  void go_on(InFlight& record) noexcept;
  void note(InFlight& record, std::int64_t result) noexcept;

  // Completing.
  void on_packet(const OVERLAPPED_ENTRY& entry) noexcept;
  std::int64_t as_received(const Operation& operation, std::int64_t result) noexcept;
  void on_result(InFlight& record, std::int64_t result) noexcept;
  void deliver(InFlight& record, std::int64_t result, bool more) noexcept;
  void finish_later(InFlight& record, std::int64_t result) noexcept;
  void make_due(InFlight& record) noexcept;
  void on_ready(InFlight& record) noexcept;
  void deliver_ready() noexcept;
  static Descriptor* closing_without_operations(Descriptor* descriptor) noexcept;
  void finish_close(Descriptor& descriptor) noexcept;
  void release_native(Descriptor& descriptor) noexcept;

  // Waiting.
  std::size_t fetch(Duration patience) noexcept;
  void take_packets(std::size_t count) noexcept;
  DWORD arm_timer(Duration patience) noexcept;
  void signal() noexcept;
  void prepare_for_foreign_loop() noexcept;
  bool is_full() const noexcept { return delivered_ >= options_.completions_max; }

  // Set once.
  const PollerOptions options_;
  Clock& clock_;
  UniqueFd port_;
  UniqueFd timer_;                // none: whole milliseconds must do
  UniqueFd poll_socket_;          // made when it is first needed
  bool poll_socket_skips_ = false;
  const char* owner_ = nullptr;   // thread_mark of the thread that waits

  // Owner thread only.
  DescriptorTable descriptors_;
  SlotTable<InFlight> records_;
  IntrusiveList<InFlight> ready_;
  std::size_t ready_count_ = 0;
  IntrusiveList<InFlight> starved_;
  LentBuffers lent_;
  PollerStats stats_;
  std::size_t packets_ = 0;       // that will come, without those of wake()
  std::uint64_t wakes_seen_ = 0;  // packets of wake() that have come
  std::size_t delivered_ = 0;     // by the current wait()
  bool waiting_ = false;
  bool draining_ = false;         // shutdown() has begun
  bool embedded_ = false;         // native_handle() was asked for: a foreign loop sleeps for us
  OVERLAPPED_ENTRY entries_[entries_max];

  // Any thread. A line of its own: others write it.
  alignas(64) WakeWord wake_word_;
  std::atomic<std::uint64_t> wakes_ = 0;
};

}  // namespace gyre
