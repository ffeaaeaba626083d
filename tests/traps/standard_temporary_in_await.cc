// Trap: a temporary `string`, `unique_ptr` or `shared_ptr` in the same expression as `co_await`
// Group: forbidden
// Rule: name the object on the line above and pass `std::move(name)`
#include <memory>
#include <string>

#include "coro.h"

namespace trap::standard_temporary_in_await {

// Each block is entered in the ledger, so that a second free is seen without doing it.
template <typename T>
struct Allocator {
  using value_type = T;
  Allocator() = default;
  template <typename U>
  Allocator(const Allocator<U>&) {}
  T* allocate(std::size_t count) {
    T* block = static_cast<T*>(std::malloc(count * sizeof(T)));
    ledger.born(block);
    return block;
  }
  void deallocate(T* block, std::size_t) { ledger.died(block); }  // Leaked: an address serves once.
  bool operator==(const Allocator&) const = default;
};
using String = std::basic_string<char, std::char_traits<char>, Allocator<char>>;

constexpr const char* short_text = "short";
constexpr const char* long_text = "longer than any small-string buffer is, by far";

Task<bool> text(String string, const char* expected) {
  co_await Later{};
  co_return string == expected;
}
Task<bool> text_reference(const String& string, const char* expected) {
  co_await Later{};
  co_return string == expected;
}
Task<bool> unique(std::unique_ptr<Tracked> pointer) {
  co_await Later{};
  co_return pointer->read() == 1;
}
Task<bool> shared(std::shared_ptr<Tracked> pointer, long count) {
  co_await Later{};
  co_return pointer->read() == 1 && pointer.use_count() == count;
}

Task<bool> short_string() {
  const bool right = co_await text(short_text, short_text);
  co_return right;
}
Task<bool> long_string() {
  const bool right = co_await text(long_text, long_text);
  co_return right;
}
Task<bool> short_reference() {
  const bool right = co_await text_reference(short_text, short_text);
  co_return right;
}
Task<bool> long_reference() {
  const bool right = co_await text_reference(String(long_text), long_text);
  co_return right;
}
Task<bool> concatenated() {
  const String empty;
  const bool right = co_await text(empty + long_text, long_text);
  co_return right;
}
Task<bool> unique_pointer() {
  const bool right = co_await unique(std::unique_ptr<Tracked>(new Tracked(1)));
  co_return right;
}
Task<bool> made_shared() {
  const bool right = co_await shared(std::shared_ptr<Tracked>(new Tracked(1)), 1);
  co_return right;
}
Task<bool> copied_shared() {
  const std::shared_ptr<Tracked> pointer(new Tracked(1));
  const bool right = co_await shared(std::shared_ptr<Tracked>(pointer), 2);
  co_return right && pointer.use_count() == 1;
}

void run_cases(Report& report) {
  report.run("short string", [] { return run(short_string()); });
  report.run("long string", [] { return run(long_string()); });
  report.run("short string by reference", [] { return run(short_reference()); });
  report.run("long string by reference", [] { return run(long_reference()); });
  report.run("concatenation", [] { return run(concatenated()); });
  report.run("unique_ptr", [] { return run(unique_pointer()); });
  report.run("new shared_ptr", [] { return run(made_shared()); });
  report.run("copy of a shared_ptr", [] { return run(copied_shared()); });
}
const Entry entry("standard_temporary_in_await", run_cases);

}  // namespace trap::standard_temporary_in_await
