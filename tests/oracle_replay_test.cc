// The oracle itself: traces load, differences are found and listed, every scenario is replayed or says why not.
// The replays stand in oracle_*_replay_test.cc, one file for each scenarios_*.py.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/platform/clock.h>

#include "support/oracle_trace.h"

namespace gyre::testing {
namespace {

using Lines = std::vector<std::string>;

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// DIFFERENCES.md from the beginning to "## Not replayed", and from there to the end.
struct Listed {
  Listed() {
    const std::string text = text_of("tests/oracle/DIFFERENCES.md");
    const std::size_t seam = text.find("\n## Not replayed");
    differences = text.substr(0, seam);
    if (seam != text.npos) not_replayed = text.substr(seam);
  }
  static bool names(const std::string& part, const std::string& scenario) {
    return part.find("| `" + scenario + "` |") != part.npos;
  }

  std::string differences;
  std::string not_replayed;
};

// The sources of all replays.
std::string replays() {
  std::string text;
  for (const auto& entry : std::filesystem::directory_iterator("tests")) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("oracle_") && name.ends_with("_replay_test.cc")) text += text_of(entry.path());
  }
  return text;
}

TEST(OracleTraceTest, LoadsDescriptionAndEvents) {
  const OracleTrace trace = load_asyncio_trace("cancel_ignored");
  EXPECT_TRUE(trace.description.starts_with("C-061: ")) << trace.description;
  EXPECT_EQ(trace.events, (Lines{"10 worker ignores the cancel", "10 worker joined: 42"}));
  EXPECT_TRUE(load_asyncio_trace("no_such_scenario").events.empty());
}

TEST(OracleTraceTest, ExpectsWhatGyreImproves) {
  const OracleTrace improved = load_expected_trace("cancel_self_then_return");
  EXPECT_EQ(improved.events.back(), "0 worker joined: 42");
  EXPECT_EQ(load_asyncio_trace("cancel_self_then_return").events.back(), "0 worker joined: cancelled");
  EXPECT_EQ(load_expected_trace("cancel_ignored").events, load_asyncio_trace("cancel_ignored").events);
}

TEST(OracleTraceTest, DiffMarksWhatOnlyOneSideHas) {
  EXPECT_EQ(diff_traces({"0 a", "1 b"}, {"0 a", "1 b"}), "");
  EXPECT_EQ(diff_traces({"0 a", "1 b", "2 c"}, {"0 a", "2 c", "3 d"}), "  0 a\n- 1 b\n  2 c\n+ 3 d\n");
  EXPECT_EQ(diff_traces({"0 a", "0 b"}, {"0 b", "0 a"}), "- 0 a\n  0 b\n+ 0 a\n");
  EXPECT_EQ(diff_traces({}, {"0 a"}), "+ 0 a\n");
}

TEST(OracleTraceTest, LogNotesMillisecondsSinceItsStart) {
  struct : Clock {
    Instant now() noexcept override { return time; }
    Instant time{std::chrono::seconds(5)};
  } clock;
  TraceLog log(clock);
  log("a ", 1);
  clock.time = clock.time + std::chrono::milliseconds(12);
  log("b");
  EXPECT_EQ(log.events(), (Lines{"0 a 1", "12 b"}));
}

TEST(OracleDifferencesTest, EachIsListedAndRecordedAndReal) {
  const Listed listed;
  const Lines improved = list_traces(".gyre");
  EXPECT_FALSE(improved.empty());
  for (const std::string& name : improved) {
    EXPECT_TRUE(Listed::names(listed.differences, name)) << name << ".gyre is not in DIFFERENCES.md";
    EXPECT_NE(load_expected_trace(name).events, load_asyncio_trace(name).events) << name;
    EXPECT_FALSE(load_asyncio_trace(name).events.empty()) << name << ".gyre without a .trace";
  }
  std::size_t scenarios = 0;
  for (std::size_t at = 0; (at = listed.differences.find("\n| `", at)) != std::string::npos; ++at) ++scenarios;
  EXPECT_EQ(scenarios, improved.size()) << "DIFFERENCES.md lists what is none";
}

TEST(OracleReplaysTest, EveryTraceIsReplayedOrSaysWhyNot) {
  const Listed listed;
  const std::string sources = replays();
  const Lines traces = list_traces(".trace");
  EXPECT_GE(traces.size(), 100U);
  std::size_t replayed = 0;
  for (const std::string& name : traces) {
    const bool has_replay = sources.find("{\"" + name + "\", ") != std::string::npos;
    replayed += has_replay ? 1 : 0;
    EXPECT_NE(has_replay, Listed::names(listed.not_replayed, name)) << name;
  }
  RecordProperty("replayed", static_cast<int>(replayed));
  EXPECT_GE(replayed, 50U);
}

}  // namespace
}  // namespace gyre::testing
