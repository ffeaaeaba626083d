#include <gyre/platform/io_uring_ring_linux.h>

#include <algorithm>
#include <cerrno>

#include <gyre/platform/check.h>
#include <gyre/platform/syscalls_linux.h>

namespace gyre {
namespace {

// Without these a kernel (before 5.11) is too old for us: completions are never dropped, what is submitted may be
// forgotten, a wait has a deadline.
constexpr std::uint32_t features_needed = uring::feature_single_mmap | uring::feature_no_drop |
                                          uring::feature_submit_stable | uring::feature_rw_current |
                                          uring::feature_fast_poll | uring::feature_ext_arg;

// What set-up is asked for, the best first; a kernel answers EINVAL to flags that it does not know.
constexpr std::uint32_t flags_basic = uring::setup_cq_size | uring::setup_clamp;
constexpr std::uint32_t flags_deferred = flags_basic | uring::setup_disabled | uring::setup_submit_all |
                                         uring::setup_single_issuer | uring::setup_defer_taskrun |
                                         uring::setup_taskrun_flag;
struct Rung {
  PollerOptions::Tier tier;  // the lowest that may stand on it
  std::uint32_t flags;
};
constexpr Rung ladder[] = {
    {PollerOptions::Tier::full, flags_deferred | uring::setup_no_sqarray},                          // 6.6
    {PollerOptions::Tier::net, flags_deferred},                                              // 6.1
    {PollerOptions::Tier::net, flags_basic | uring::setup_disabled | uring::setup_submit_all |
                                   uring::setup_coop_taskrun | uring::setup_taskrun_flag},                 // 5.19
    {PollerOptions::Tier::basic, flags_basic | uring::setup_disabled},                              // 5.10
};

// Whoever is told EINVAL for the plainest set-up has a kernel that lacks what we need.
Error setup_error(std::int64_t result) noexcept {
  const auto code = static_cast<std::int32_t>(-result);
  return Error::system(code == EINVAL ? ENOSYS : code, OperationKind::setup);
}

template <typename T>
T* at(void* base, std::uint32_t offset) noexcept {
  return reinterpret_cast<T*>(static_cast<std::byte*>(base) + offset);
}

uring::KernelTimespec to_timespec(std::int64_t nanoseconds) noexcept {
  constexpr std::int64_t per_second = 1'000'000'000;
  return {nanoseconds / per_second, nanoseconds % per_second};
}

}  // namespace

IoUringRing::~IoUringRing() { close(); }

void IoUringRing::close() noexcept {
  if (rings_.address != nullptr) sys::munmap(rings_.address, rings_.size);
  if (entries_.address != nullptr) sys::munmap(entries_.address, entries_.size);
  rings_ = {};
  entries_ = {};
  fd_.reset();
}

Result<void> IoUringRing::open(const IoUringOptions& options) noexcept {
  IoUringRing trial;
  Result<void> tried = trial.open_queues({.submissions = 2, .completions = 4, .tier = options.tier});
  if (!tried) return tried;
  tried = trial.check_nop();
  if (!tried) return tried;
  system_calls_ += trial.system_calls_;
  return open_queues(options);
}

Result<void> IoUringRing::open_queues(const IoUringOptions& options) noexcept {
  std::int64_t result = -ENOSYS;
  uring::SetupParameters parameters{};
  for (const Rung& rung : ladder) {
    if (rung.tier > options.tier) continue;
    parameters = {};
    parameters.flags = rung.flags;
    parameters.cq_entries = options.completions;
    result = sys::io_uring_setup(options.submissions, &parameters);
    ++system_calls_;
    if (result != -EINVAL) break;
  }
  if (result < 0) return setup_error(result);
  fd_.reset(static_cast<NativeDescriptor>(result));
  if ((parameters.features & features_needed) != features_needed) {
    close();
    return Error::system(ENOSYS, OperationKind::setup);
  }
  setup_flags_ = parameters.flags;
  Result<void> mapped = map_queues(parameters);
  if (!mapped) {
    close();
    return mapped;
  }
  find_features(parameters.features, options.tier);
  enter_fd_ = fd_.get();
  return {};
}

Result<void> IoUringRing::map(Mapping& mapping, std::size_t size, std::int64_t offset) noexcept {
  const Result<void*> address = sys::mmap(size, fd_.get(), offset);
  ++system_calls_;
  if (!address) return address.error().with(OperationKind::setup);
  mapping = {*address, size};
  // A forked child must not share our queues: it would take our completions. It faults instead.
  const std::int64_t advised = sys::madvise(*address, size, MADV_DONTFORK);
  ++system_calls_;
  if (advised < 0) return setup_error(advised);
  return {};
}

Result<void> IoUringRing::map_queues(const uring::SetupParameters& parameters) noexcept {
  const bool has_array = (parameters.flags & uring::setup_no_sqarray) == 0;
  const std::size_t sq_size =
      has_array ? parameters.sq.array + parameters.sq_entries * sizeof(std::uint32_t) : 0;
  const std::size_t cq_size = parameters.cq.cqes + parameters.cq_entries * sizeof(uring::Cqe);
  Result<void> mapped = map(rings_, sq_size > cq_size ? sq_size : cq_size, uring::map_sq_ring);
  if (!mapped) return mapped;
  mapped = map(entries_, parameters.sq_entries * sizeof(uring::Sqe), uring::map_sqes);
  if (!mapped) return mapped;

  sq_entries_ = parameters.sq_entries;
  cq_entries_ = parameters.cq_entries;
  sqes_ = static_cast<uring::Sqe*>(entries_.address);
  cqes_ = at<const uring::Cqe>(rings_.address, parameters.cq.cqes);
  sq_head_ = at<std::uint32_t>(rings_.address, parameters.sq.head);
  sq_tail_shared_ = at<std::uint32_t>(rings_.address, parameters.sq.tail);
  sq_flags_ = at<std::uint32_t>(rings_.address, parameters.sq.flags);
  cq_head_ = at<std::uint32_t>(rings_.address, parameters.cq.head);
  cq_tail_ = at<std::uint32_t>(rings_.address, parameters.cq.tail);
  sq_mask_ = *at<const std::uint32_t>(rings_.address, parameters.sq.ring_mask);
  cq_mask_ = *at<const std::uint32_t>(rings_.address, parameters.cq.ring_mask);
  // The array between queue and entries only matters to those who fill entries out of order.
  if (has_array) {
    std::uint32_t* const array = at<std::uint32_t>(rings_.address, parameters.sq.array);
    for (std::uint32_t i = 0; i < sq_entries_; ++i) array[i] = i;
  }
  return {};
}

void IoUringRing::find_features(std::uint32_t kernel_features, PollerOptions::Tier tier) noexcept {
  using Tier = PollerOptions::Tier;
  features_ = {};
  if (tier == Tier::basic) return;

  features_.defer_taskrun = (setup_flags_ & uring::setup_defer_taskrun) != 0;
  features_.taskrun_flag = (setup_flags_ & uring::setup_taskrun_flag) != 0;
  features_.cqe_skip = (kernel_features & uring::feature_cqe_skip) != 0;
  features_.registered_ring = true;  // bind() finds out
  // Flags of single operations cannot be asked for. COOP_TASKRUN and TASKRUN_FLAG came in 5.19, together with
  // multishot accept, POLL_FIRST and buffer rings; DEFER_TASKRUN in 6.1, after multishot receive (6.0).
  features_.multishot_poll = features_.taskrun_flag;
  features_.multishot_accept = features_.taskrun_flag;
  features_.poll_first = features_.taskrun_flag;
  features_.buffer_rings = features_.taskrun_flag;
  features_.multishot_receive = features_.defer_taskrun;
  if (tier == Tier::net) return;

  features_.no_iowait = (kernel_features & uring::feature_no_iowait) != 0;
}

Result<void> IoUringRing::check_nop() noexcept {
  Result<void> bound = bind();
  if (!bound) return bound;
  constexpr std::uint64_t mark = 0x6779'7265;
  uring::Sqe* const entry = get_entry();
  GYRE_CHECK(entry != nullptr);
  entry->opcode = uring::op_nop;
  entry->user_data = mark;
  std::int64_t result = -EINTR;
  for (int attempt = 0; attempt < 64 && result == -EINTR; ++attempt) {
    result = enter(1, Duration::max());
  }
  uring::Cqe completion{};
  const bool came = result >= 0 && take_completion(completion);
  unbind();
  if (result < 0) return setup_error(result);
  if (!came || completion.user_data != mark || completion.result != 0) {
    return Error::system(ENOSYS, OperationKind::setup);
  }
  return {};
}

Result<void> IoUringRing::bind() noexcept {
  GYRE_CHECK(!bound_);
  if ((setup_flags_ & uring::setup_disabled) != 0) {
    const std::int64_t enabled = register_with(uring::register_enable_rings, nullptr, 0);
    if (enabled < 0) return setup_error(enabled);
  }
  bound_ = true;
  if (features_.no_iowait) enter_flags_ |= uring::enter_no_iowait;
  if (features_.registered_ring) {
    // Saves the look-up of the descriptor in each enter(). Sixteen rings per thread can have that.
    uring::ResourceUpdate update{.offset = ~std::uint32_t{0},
                          .reserved = 0,
                          .data = static_cast<std::uint64_t>(fd_.get())};
    if (register_with(uring::register_ring_fds, &update, 1) == 1) {
      enter_fd_ = static_cast<NativeDescriptor>(update.offset);
      enter_flags_ |= uring::enter_registered_ring;
    }
  }
  return {};
}

void IoUringRing::unbind() noexcept {
  if (!bound_ || (enter_flags_ & uring::enter_registered_ring) == 0) return;
  // The registration holds the ring: without this it would live until the thread ends.
  uring::ResourceUpdate update{.offset = static_cast<std::uint32_t>(enter_fd_), .reserved = 0, .data = 0};
  register_with(uring::unregister_ring_fds, &update, 1);
  enter_fd_ = fd_.get();
  enter_flags_ &= ~uring::enter_registered_ring;
}

std::int64_t IoUringRing::register_with(unsigned opcode, void* argument, unsigned count) noexcept {
  std::int64_t result = -EINTR;
  for (int attempt = 0; attempt < 64 && result == -EINTR; ++attempt) {
    ++system_calls_;
    result = sys::io_uring_register(fd_.get(), opcode, argument, count);
  }
  return result;
}

const uring::Sqe* IoUringRing::take_back() noexcept {
  // The kernel reads the tail inside enter() only, which publishes it.
  if (entries_waiting() == 0) return nullptr;
  --sq_tail_;
  return &sqes_[sq_tail_ & sq_mask_];
}

std::int64_t IoUringRing::enter(std::uint32_t completions_min, Duration timeout) noexcept {
  GYRE_DCHECK(bound_);
  publish();
  ++system_calls_;
  const std::uint32_t flags = enter_flags_ | uring::enter_get_events;
  const std::int64_t result = completions_min == 0 || timeout == Duration::max()
                                  ? sys::io_uring_enter(enter_fd_, entries_waiting(), completions_min, flags, nullptr, 0)
                                  : enter_for(completions_min, timeout, flags);
  cq_tail_entered_ = load_acquire(cq_tail_);
  return result;
}

std::int64_t IoUringRing::enter_for(std::uint32_t completions_min, Duration timeout, std::uint32_t flags) noexcept {
  // The kernel adds the time to its clock and does not look whether that overflows.
  constexpr std::int64_t most = std::int64_t{1} << 61;
  const uring::KernelTimespec time = to_timespec(std::min<std::int64_t>(timeout.count(), most));
  uring::GetEventsArgument argument{};
  argument.timeout = reinterpret_cast<std::uint64_t>(&time);
  return sys::io_uring_enter(enter_fd_, entries_waiting(), completions_min, flags | uring::enter_ext_arg,
                             &argument, sizeof(argument));
}

std::int64_t IoUringRing::submit() noexcept {
  GYRE_DCHECK(bound_);
  publish();
  ++system_calls_;
  return sys::io_uring_enter(enter_fd_, entries_waiting(), 0, enter_flags_ & uring::enter_registered_ring,
                             nullptr, 0);
}

}  // namespace gyre
