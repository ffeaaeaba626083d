// Runs the trap that the only argument names, and keeps the books for it.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include "coro.h"

namespace trap {

// --- Ledger ---------------------------------------------------------------------------------------------------------

Ledger ledger;

const char* Ledger::verdict() const {
  if (misuse_ != nullptr) return misuse_;
  if (frames_freed > frames_made) return "frame freed twice";
  if (frames_freed < frames_made) return "frame leaked";
  return alive() == 0 ? nullptr : "leaked";
}

void Ledger::born(const void* object) {
  ++made;
  Slot* slot = find(object);
  if (slot == nullptr) {
    if (size_ == slots_max) std::abort();  // A case is small: this one is not.
    slot = &slots_[size_++];
  }
  if (slot->alive) note("constructed over a live object");
  *slot = Slot{object, true};
}

void Ledger::died(const void* object) {
  Slot* slot = find(object);
  // An object that nobody constructed is a copy of another one's bytes.
  if (slot == nullptr) return note("copied as bytes");
  if (!slot->alive) return note("destroyed twice");
  slot->alive = false;
}

bool Ledger::used(const void* object) {
  const Slot* slot = find(object);
  if (slot != nullptr && slot->alive) return true;
  note(slot == nullptr ? "copied as bytes" : "used after its destruction");
  return false;
}

void Ledger::note(const char* misuse) {
  if (misuse_ == nullptr) misuse_ = misuse;
}

std::size_t Ledger::alive() const {
  std::size_t count = 0;
  for (std::size_t i = 0; i < size_; ++i) count += slots_[i].alive ? 1 : 0;
  return count;
}

Ledger::Slot* Ledger::find(const void* object) {
  for (std::size_t i = 0; i < size_; ++i) {
    if (slots_[i].object == object) return &slots_[i];
  }
  return nullptr;
}

// --- Frames and resumption ------------------------------------------------------------------------------------------

namespace {

// The frame that was allocated last, until its promise has been asked for its handle.
void* newest_frame = nullptr;

constexpr unsigned char freed_byte = 0xdd;
struct Freed {
  unsigned char* frame;
  std::size_t size;
};
Freed freed[64] = {};  // A ring: the oldest is really freed when another one comes.

void check_untouched(const Freed& frame) {
  for (std::size_t i = 0; i < frame.size; ++i) {
    if (frame.frame[i] != freed_byte) return ledger.note("frame written after it was freed");
  }
}

}  // namespace

void* CountedFrame::operator new(std::size_t size) {
  ++ledger.frames_made;
  newest_frame = std::malloc(size);
  if (newest_frame == nullptr) std::abort();
  return newest_frame;
}

void CountedFrame::operator delete(void* frame, std::size_t size) {
  std::memset(frame, freed_byte, size);
  Freed& oldest = freed[static_cast<std::size_t>(ledger.frames_freed++) % std::size(freed)];
  check_untouched(oldest);
  std::free(oldest.frame);
  oldest = Freed{static_cast<unsigned char*>(frame), size};
}

void CountedFrame::check_all_untouched() {
  for (const Freed& frame : freed) check_untouched(frame);
}

void CountedFrame::check_handle(const void* address) {
  const void* frame = std::exchange(newest_frame, nullptr);
  if (frame != nullptr && frame != address) give_up("promise misplaced in the frame");
}

void PromiseBase::unhandled_exception() noexcept { failure = std::current_exception(); }

void PromiseBase::rethrow_failure() const {
  if (failure) std::rethrow_exception(failure);
}

void resume_parked() {
  while (parked) std::exchange(parked, nullptr).resume();
}

// --- Report ---------------------------------------------------------------------------------------------------------

namespace {

int verdict_channel = -1;
constexpr unsigned case_seconds_max = 60;  // A case takes milliseconds; but machines are shared.

const char* ending(int status) {
  if (!WIFSIGNALED(status)) return "sanitizer report";  // Nothing else ends without a verdict.
  if (WTERMSIG(status) == SIGALRM) return "hangs";
  return WTERMSIG(status) == SIGABRT ? "aborts" : "crashes";
}

}  // namespace

void give_up(const char* seen) { _exit(write(verdict_channel, seen, std::strlen(seen)) < 0 ? 1 : 0); }

void Report::run(const char* name, void* body, const char* (*call)(void*)) {
  std::fflush(nullptr);
  int channel[2];
  if (pipe(channel) != 0) std::abort();
  const pid_t child = fork();
  if (child == 0) {
    close(channel[0]);
    verdict_channel = channel[1];
    alarm(case_seconds_max);
    const char* seen = call(body);
    if (const char* misuse = ledger.verdict()) seen = misuse;
    give_up(seen == nullptr ? "right" : seen);
  }
  close(channel[1]);
  char seen[128] = {};
  const ssize_t length = read(channel[0], seen, sizeof seen - 1);
  close(channel[0]);
  int status = 0;
  waitpid(child, &status, 0);
  record(name, length > 0 && status == 0 ? seen : ending(status));
}

void Report::record(const char* name, const char* seen) {
  ++cases_;
  if (std::strcmp(seen, "right") == 0) return;
  const std::size_t used = std::strlen(seen_);
  std::snprintf(seen_ + used, sizeof seen_ - used, "%s%s: %s", used == 0 ? "" : "; ", name, seen);
}

void Report::finish() const {
  if (cases_ == 0) std::abort();
  std::printf("observed: %s\n", seen_[0] == '\0' ? "right" : seen_);
}

// --- Entries --------------------------------------------------------------------------------------------------------

namespace {
const Entry* first_entry = nullptr;  // Set before the first entry's constructor runs: it is a constant.
}

Entry::Entry(const char* name, void (*run)(Report&)) : name_(name), run_(run), next_(first_entry) { first_entry = this; }

const Entry* Entry::find(const char* name) {
  for (const Entry* entry = first_entry; entry != nullptr; entry = entry->next_) {
    if (std::strcmp(entry->name_, name) == 0) return entry;
  }
  return nullptr;
}

}  // namespace trap

int main(int count, char** arguments) {
  const trap::Entry* entry = count == 2 ? trap::Entry::find(arguments[1]) : nullptr;
  if (entry == nullptr) return 2;
  trap::Report report;
  entry->run(report);
  report.finish();
  return 0;
}
