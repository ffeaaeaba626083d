// FaultPlan: which system calls shall fail, and how. For tests; see `call` in the platform's syscalls header.
//
// A plan is a list of rules. Every system call made through the seam while a plan is installed is counted by call number
// and by site (the place in the source that asked for it); the first rule that matches it and is due decides what
// happens instead of, or with, the call. Without `fault_injection` nothing consults a plan, and the seam is free.
//
// Threads: a plan may be installed on several threads; it locks itself. Not for use inside signal handlers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <source_location>
#include <string>
#include <vector>

#include <gyre/platform/check.h>
#include <gyre/platform/error.h>

namespace gyre::sys {

// The place in the source that asked for a system call.
using Site = std::source_location;

// What happens to a call instead of what was asked.
struct Fault {
  enum class Kind : std::uint8_t {
    none,     // the call is made as it is
    fail,     // not made; answers -value, an errno
    shorten,  // made with at most `value` bytes (slices, messages, events)
    replace,  // not made; answers `value`, which is >= 0
    after,    // made, but answers -value although it worked: for close(), of which EINTR and EIO have closed
  };
  Kind kind = Kind::none;
  std::int64_t value = 0;
};

inline constexpr long any_call = -1;
// The start of a thread, on every system: the number that Linux's clone3 has.
inline constexpr long number_start_thread = 435;

struct FaultRule {
  long number = any_call;      // of the system call
  std::string site = {};       // "file.cc:123" (the end of the path is enough); empty: any
  std::uint64_t first = 1;     // the n-th matching call is the first to be hit, counted from 1
  std::uint64_t times = 1;     // how many are hit; `sticky` for all from then on
  Fault fault = {};

  static constexpr std::uint64_t sticky = ~std::uint64_t{0};
};

// As a rule, for completions that an io_uring poller reaps: the kernel's answer is replaced before the poller sees it. A
// descriptor that an error replaces is closed.
struct CompletionRule {
  OperationKind kind = OperationKind::none;  // none: any
  std::uint64_t first = 1;
  std::uint64_t times = 1;
  bool replace_result = false;
  std::int32_t result = 0;
  std::uint32_t flags_cleared = 0;
  std::uint32_t flags_set = 0;
};

class FaultPlan {
 public:
  // A site that was reached, and how often.
  struct Reached {
    long number;
    std::string site;  // "platform/poller_epoll.cc:123"
    std::uint64_t calls;
    std::uint64_t hits;  // calls that a rule changed
  };

  FaultPlan() = default;
  FaultPlan(const FaultPlan&) = delete;
  FaultPlan& operator=(const FaultPlan&) = delete;

  void add(FaultRule rule);
  void add(CompletionRule rule);
  void clear_rules();

  // Calls that a rule changed, completions included. A walk over "the n-th call fails" ends when this stays 0.
  std::uint64_t hits() const;
  std::uint64_t calls() const;
  std::uint64_t calls(long number) const;
  std::vector<Reached> reached() const;

  // Called by the seam.
  Fault consult(long number, const Site& site);
  void distort(OperationKind kind, std::int32_t& result, std::uint32_t& flags);

 private:
  struct Counted {
    FaultRule rule;
    std::uint64_t seen = 0;
    std::uint64_t interrupted = 0;  // EINTR in a row: see consult()
  };
  struct CountedCompletion {
    CompletionRule rule;
    std::uint64_t seen = 0;
  };
  struct Tally {
    std::uint64_t calls = 0;
    std::uint64_t hits = 0;
  };
  using Key = std::pair<long, std::string>;

  mutable std::mutex mutex_;
  std::vector<Counted> rules_;
  std::vector<CountedCompletion> completion_rules_;
  std::map<Key, Tally> tallies_;
  std::uint64_t calls_ = 0;
  std::uint64_t hits_ = 0;
};

// Installs a plan while it lives: on this thread, or on every thread that has no plan of its own.
class FaultScope {
 public:
  enum class Reach : std::uint8_t { this_thread, every_thread };

  explicit FaultScope(FaultPlan& plan, Reach reach = Reach::this_thread) noexcept;
  ~FaultScope();
  FaultScope(const FaultScope&) = delete;
  FaultScope& operator=(const FaultScope&) = delete;

 private:
  FaultPlan* const previous_;
  const Reach reach_;
};

// System calls that this thread has made through the seam; counted only where `fault_injection` is on.
std::uint64_t calls_made() noexcept;
std::uint64_t calls_made(long number) noexcept;

namespace detail {

// Counts the call and asks the installed plan, if any.
Fault consult(long number, const Site& site) noexcept;
void distort(OperationKind kind, std::int32_t& result, std::uint32_t& flags) noexcept;

}  // namespace detail

// An io_uring poller calls this for each completion that it reaps, before it looks at it.
inline void distort_completion(OperationKind kind, std::int32_t& result,
                               std::uint32_t& flags) noexcept {
  if constexpr (fault_injection) detail::distort(kind, result, flags);
}

}  // namespace gyre::sys
