// Event traces: those that tests/oracle/record.py took from asyncio, and those that a replay in Gyre makes.
//
// A trace is a list of lines "MILLISECONDS EVENT" in the order in which things happened, on a virtual clock that begins
// at 0. tests/oracle/README.md describes the format and the places where Gyre differs on purpose.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <gyre/platform/clock.h>

namespace gyre::testing {

struct OracleTrace {
  std::string description;          // the first line, without "# "
  std::vector<std::string> events;  // "10 a end"; empty if there is no such trace
};

// What asyncio did: tests/oracle/traces/NAME.trace, seen from the working directory.
OracleTrace load_asyncio_trace(std::string_view name);
// What Gyre must do: NAME.gyre where that is another thing than asyncio's, else NAME.trace.
OracleTrace load_expected_trace(std::string_view name);

// The names, sorted, of the files in tests/oracle/traces that end in `suffix` (".trace", ".gyre"), without it.
std::vector<std::string> list_traces(std::string_view suffix);

// What a replay writes to: each event with the clock's time, which must be whole milliseconds after `start`.
class TraceLog {
 public:
  // The clock must live as long as the log; `start`, by default now, is the trace's 0.
  explicit TraceLog(Clock& clock) noexcept : clock_(clock), start_(clock.now()) {}
  TraceLog(const TraceLog&) = delete;
  TraceLog& operator=(const TraceLog&) = delete;

  // Notes an event, whose text is the parts one after the other: log(name, " got ", 3).
  template <typename... Parts>
  void operator()(const Parts&... parts) {
    note((text_of(parts) + ...));
  }

  const std::vector<std::string>& events() const noexcept { return events_; }

 private:
  static std::string text_of(std::string_view text) { return std::string(text); }
  static std::string text_of(int number) { return std::to_string(number); }
  void note(std::string event);

  Clock& clock_;
  Instant start_;
  std::vector<std::string> events_;
};

// Empty if the traces are equal; else all lines, those that only one of the two has marked: "- " only expected, "+ "
// only actual, in an order that keeps the number of marks small.
std::string diff_traces(const std::vector<std::string>& expected, const std::vector<std::string>& actual);

}  // namespace gyre::testing
