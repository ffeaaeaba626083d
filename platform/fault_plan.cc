#include <gyre/platform/fault_plan.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/unique_fd.h>

namespace gyre::sys {
namespace {

// Call numbers beyond this (none today) are counted together in the last place.
constexpr std::size_t numbers_max = 512;

struct Counts {
  std::uint64_t all = 0;
  std::array<std::uint64_t, numbers_max> by_number = {};
};

constinit thread_local Counts counts;
constinit thread_local FaultPlan* plan_of_thread = nullptr;
// Set and cleared by FaultScope (release), read by every call (acquire): a plan is seen whole.
constinit std::atomic<FaultPlan*> plan_of_all = nullptr;

std::size_t place_of(long number) noexcept {
  const auto place = static_cast<std::size_t>(number);
  return number < 0 || place >= numbers_max ? numbers_max - 1 : place;
}

FaultPlan* installed_plan() noexcept {
  if (plan_of_thread != nullptr) return plan_of_thread;
  return plan_of_all.load(std::memory_order_acquire);
}

// "platform/poller_epoll.cc:123": the path from the last-but-one folder on, so that it does not depend on the machine.
std::string name_of(const Site& site) {
  std::string_view path = site.file_name();
  const std::size_t last = path.rfind('/');
  if (last != std::string_view::npos && last > 0) {
    const std::size_t before = path.rfind('/', last - 1);
    if (before != std::string_view::npos) path.remove_prefix(before + 1);
  }
  return std::string(path) + ":" + std::to_string(site.line());
}

bool is_due(std::uint64_t seen, std::uint64_t first, std::uint64_t times) noexcept {
  return seen >= first && seen - first < times;
}

}  // namespace

void FaultPlan::add(FaultRule rule) {
  const std::lock_guard lock(mutex_);
  rules_.push_back(Counted{.rule = std::move(rule)});
}

void FaultPlan::add(CompletionRule rule) {
  const std::lock_guard lock(mutex_);
  completion_rules_.push_back(CountedCompletion{.rule = rule});
}

void FaultPlan::clear_rules() {
  const std::lock_guard lock(mutex_);
  rules_.clear();
  completion_rules_.clear();
}

std::uint64_t FaultPlan::hits() const {
  const std::lock_guard lock(mutex_);
  return hits_;
}

std::uint64_t FaultPlan::calls() const {
  const std::lock_guard lock(mutex_);
  return calls_;
}

std::uint64_t FaultPlan::calls(long number) const {
  const std::lock_guard lock(mutex_);
  std::uint64_t sum = 0;
  for (const auto& [key, tally] : tallies_) {
    if (key.first == number) sum += tally.calls;
  }
  return sum;
}

std::vector<FaultPlan::Reached> FaultPlan::reached() const {
  const std::lock_guard lock(mutex_);
  std::vector<Reached> all;
  all.reserve(tallies_.size());
  for (const auto& [key, tally] : tallies_) {
    all.push_back(Reached{.number = key.first, .site = key.second, .calls = tally.calls,
                          .hits = tally.hits});
  }
  return all;
}

Fault FaultPlan::consult(long number, const Site& site) {
  // A wrapper retries EINTR for ever, as it must; a kernel that never stops interrupting does not exist. So a sticky
  // EINTR lets every 17th call through.
  constexpr std::uint64_t interruptions_max = 16;

  const std::lock_guard lock(mutex_);
  std::string name = name_of(site);
  ++calls_;
  Tally& tally = tallies_[Key(number, name)];
  ++tally.calls;
  for (Counted& counted : rules_) {
    const FaultRule& rule = counted.rule;
    if (rule.number != any_call && rule.number != number) continue;
    if (!rule.site.empty() && !name.ends_with(rule.site)) continue;
    ++counted.seen;
    if (!is_due(counted.seen, rule.first, rule.times)) continue;
    const bool interrupts = rule.fault.kind == Fault::Kind::fail && rule.fault.value == EINTR;
    if (interrupts && ++counted.interrupted > interruptions_max) {
      counted.interrupted = 0;
      continue;
    }
    ++hits_;
    ++tally.hits;
    return rule.fault;
  }
  return {};
}

void FaultPlan::distort(OperationKind kind, std::int32_t& result, std::uint32_t& flags) {
  const std::lock_guard lock(mutex_);
  for (CountedCompletion& counted : completion_rules_) {
    const CompletionRule& rule = counted.rule;
    if (rule.kind != OperationKind::none && rule.kind != kind) continue;
    ++counted.seen;
    if (!is_due(counted.seen, rule.first, rule.times)) continue;
    ++hits_;
    if (rule.replace_result) result = rule.result;
    flags = (flags & ~rule.flags_cleared) | rule.flags_set;
    return;
  }
}

FaultScope::FaultScope(FaultPlan& plan, Reach reach) noexcept
    : previous_(reach == Reach::this_thread ? plan_of_thread
                                            : plan_of_all.load(std::memory_order_acquire)),
      reach_(reach) {
  if (reach_ == Reach::this_thread) {
    plan_of_thread = &plan;
  } else {
    plan_of_all.store(&plan, std::memory_order_release);  // pairs with installed_plan()
  }
}

FaultScope::~FaultScope() {
  if (reach_ == Reach::this_thread) {
    plan_of_thread = previous_;
  } else {
    plan_of_all.store(previous_, std::memory_order_release);
  }
}

std::uint64_t calls_made() noexcept { return counts.all; }

std::uint64_t calls_made(long number) noexcept { return counts.by_number[place_of(number)]; }

namespace detail {

Fault consult(long number, const Site& site) noexcept {
  ++counts.all;
  ++counts.by_number[place_of(number)];
  FaultPlan* const plan = installed_plan();
  return plan == nullptr ? Fault{} : plan->consult(number, site);
}

void distort(OperationKind kind, std::int32_t& result, std::uint32_t& flags) noexcept {
  FaultPlan* const plan = installed_plan();
  if (plan == nullptr) return;
  const std::int32_t real = result;
  plan->distort(kind, result, flags);
  const bool made_descriptor = (kind == OperationKind::accept || kind == OperationKind::open_file) && real >= 0;
  if (made_descriptor && result < 0) const UniqueFd unheard_of(real);
}

}  // namespace detail
}  // namespace gyre::sys
