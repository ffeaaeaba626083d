// The frame of every compiler trap: objects that are counted, and cases that are run one by one.
//
// A trap is one file of small coroutines whose right outcome is known. Each of its cases runs in a
// process of its own, so that a crash is an observation too and hides none of the other cases.
// tests/compiler_traps_posix_test.cc compiles and runs the files; nothing here knows anything of Gyre. What
// is defined in main.cc is not here because it would be compiled, and optimised, once per use.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace trap {

// Remembers every Tracked object by its address, so that misuse is detected without reading the
// memory of a dead object: whatever that memory holds by now, the verdict is the same.
class Ledger {
 public:
  // The first thing that went wrong, or null.
  const char* verdict() const;
  void born(const void* object);
  void died(const void* object);
  // True if `object` may be read.
  bool used(const void* object);
  void note(const char* misuse);
  std::size_t alive() const;

  int made = 0;    // Constructed in any way.
  int copies = 0;  // Of those, copies.
  int moves = 0;   // Of those, moves.
  long frames_made = 0;
  long frames_freed = 0;

 private:
  static constexpr std::size_t slots_max = 256;
  struct Slot {
    const void* object;
    bool alive;
  };
  Slot* find(const void* object);
  Slot slots_[slots_max] = {};
  std::size_t size_ = 0;
  const char* misuse_ = nullptr;
};

extern Ledger ledger;

// Ends the running case at once with the verdict `seen`: for states in which to go on is hopeless.
[[noreturn]] void give_up(const char* seen);

// An object whose life is recorded. Copyable; Owner is the same but move-only.
class Tracked {
 public:
  Tracked() : Tracked(0) {}
  explicit Tracked(int value) : value_(value) { ledger.born(this); }
  Tracked(const Tracked& other) : value_(other.read()) {
    ++ledger.copies;
    ledger.born(this);
  }
  Tracked(Tracked&& other) noexcept : value_(other.take()) {
    ++ledger.moves;
    ledger.born(this);
  }
  Tracked& operator=(const Tracked& other) {
    ledger.used(this);
    value_ = other.read();
    return *this;
  }
  Tracked& operator=(Tracked&& other) noexcept {
    ledger.used(this);
    value_ = other.take();
    return *this;
  }
  ~Tracked() { ledger.died(this); }

  static constexpr int dead = -1;   // What a dead object reads as.
  static constexpr int empty = -2;  // What a moved-from object reads as.
  int read() const { return ledger.used(this) ? value_ : dead; }

 private:
  int take() noexcept {
    const int value = read();
    if (value != dead) value_ = empty;
    return value;
  }
  int value_;
};

class Owner : public Tracked {
 public:
  using Tracked::Tracked;
  Owner(Owner&&) noexcept = default;
  Owner& operator=(Owner&&) noexcept = default;
};

// Collects the verdicts of a trap's cases.
class Report {
 public:
  // Runs `body` in a process of its own. It returns whether the outcome was right (bool), or what
  // was seen instead (const char*, null for right); the ledger is asked in any case.
  template <typename Body>
  void run(const char* name, Body body) {
    run(name, &body, [](void* erased) { return outcome((*static_cast<Body*>(erased))()); });
  }
  void finish() const;

 private:
  static const char* outcome(bool right) { return right ? nullptr : "wrong result"; }
  static const char* outcome(const char* seen) { return seen; }

  void run(const char* name, void* body, const char* (*call)(void*));
  void record(const char* name, const char* seen);
  int cases_ = 0;
  char seen_[2048] = {};
};

// Names a trap. Objects of this type are the only globals with a constructor.
class Entry {
 public:
  Entry(const char* name, void (*run)(Report&));
  static const Entry* find(const char* name);
  void run(Report& report) const { run_(report); }

 private:
  const char* name_;
  void (*run_)(Report&);
  const Entry* next_;
};

// Keeps the optimiser from knowing what `value` is.
template <typename T>
T opaque(T value) {
  asm volatile("" : "+r"(value) : : "memory");
  return value;
}

}  // namespace trap
