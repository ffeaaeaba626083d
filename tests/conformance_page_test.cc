// docs/CONFORMANCE.md does not rot: each id has one row, and each test that a row names exists.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace {

using std::string_view;

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

struct Row {
  std::string id;
  std::string proof;
};

string_view trimmed(string_view text) {
  const std::size_t first = text.find_first_not_of(" \n");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \n") - first + 1);
}

// The cells of "| a | b | c |".
std::vector<string_view> cells_of(string_view line) {
  std::vector<string_view> cells;
  for (std::size_t bar = line.find('|'); bar != line.npos;) {
    const std::size_t next = line.find('|', bar + 1);
    if (next == line.npos) break;
    cells.push_back(trimmed(line.substr(bar + 1, next - bar - 1)));
    bar = next;
  }
  return cells;
}

// The rows of statements: "| C-001 | statement | proof | difference |".
std::vector<Row> rows_of(string_view page) {
  std::vector<Row> rows;
  for (std::size_t at = 0; at < page.size();) {
    const std::size_t end = std::min(page.find('\n', at), page.size());
    const string_view line = page.substr(at, end - at);
    at = end + 1;
    if (!line.starts_with("| C-") && !line.starts_with("| S-")) continue;
    const std::vector<string_view> cells = cells_of(line);
    EXPECT_EQ(cells.size(), 4U) << line;
    if (cells.size() == 4) rows.push_back({std::string(cells[0]), std::string(cells[2])});
  }
  return rows;
}

// What stands between backticks.
std::vector<std::string> names_of(string_view proof) {
  std::vector<std::string> names;
  for (std::size_t open = proof.find('`'); open != proof.npos;) {
    const std::size_t close = proof.find('`', open + 1);
    if (close == proof.npos) break;
    names.emplace_back(proof.substr(open + 1, close - open - 1));
    open = proof.find('`', close + 1);
  }
  return names;
}

// "Suite.Name" of each TEST, TEST_F, TEST_P and TYPED_TEST in `source`.
void collect_tests(string_view source, std::set<std::string>& tests) {
  constexpr string_view marker = "TEST";
  for (std::size_t at = source.find(marker); at != source.npos; at = source.find(marker, at + 1)) {
    std::size_t open = at + marker.size();
    if (source.substr(open, 2) == "_F" || source.substr(open, 2) == "_P") open += 2;
    const std::size_t comma = source.find(',', open);
    const std::size_t close = source.find(')', open);
    if (open >= source.size() || source[open] != '(' || comma == source.npos || close < comma) continue;
    tests.insert(std::string(trimmed(source.substr(open + 1, comma - open - 1))) + "." +
                 std::string(trimmed(source.substr(comma + 1, close - comma - 1))));
  }
}

// "oracle/NAME" of each replay in `source`.
void collect_replays(string_view source, std::set<std::string>& tests) {
  constexpr string_view marker = "{\"";
  for (std::size_t at = source.find(marker); at != source.npos; at = source.find(marker, at + 1)) {
    const std::size_t name = at + marker.size();
    const std::size_t end = source.find('"', name);
    if (end != source.npos && source.substr(end, 3) == "\", ") {
      tests.insert("oracle/" + std::string(source.substr(name, end - name)));
    }
  }
}

std::set<std::string> all_tests() {
  std::set<std::string> tests;
  for (const auto& entry : std::filesystem::directory_iterator("tests")) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with("_test.cc")) continue;
    const std::string source = text_of(entry.path());
    collect_tests(source, tests);
    if (name.ends_with("_replay_test.cc")) collect_replays(source, tests);
  }
  return tests;
}

std::vector<Row> page() {
  std::vector<Row> rows = rows_of(text_of("docs/CONFORMANCE.md"));
  EXPECT_FALSE(rows.empty()) << "no page; tests run in the repository's root";
  return rows;
}

void expect_one_row_each(char letter, int count, const char* format) {
  std::map<std::string, int> rows;
  for (const Row& row : page()) ++rows[row.id];
  for (int number = 1; number <= count; ++number) {
    char id[16];
    std::snprintf(id, sizeof(id), format, letter, number);
    EXPECT_EQ(rows[id], 1) << id;
  }
}

TEST(ConformancePageTest, EachStatementOfPartCHasOneRow) { expect_one_row_each('C', 183, "%c-%03d"); }

TEST(ConformancePageTest, EachStatementOfPartSHasOneRow) { expect_one_row_each('S', 62, "%c-%02d"); }

TEST(ConformancePageTest, EveryTestThatIsNamedExists) {
  const std::set<std::string> tests = all_tests();
  for (const Row& row : page()) {
    for (const std::string& name : names_of(row.proof)) {
      EXPECT_TRUE(tests.contains(name)) << row.id << ": " << name;
    }
  }
}

TEST(ConformancePageTest, EveryStatementIsProvenOrSaysWhyNot) {
  for (const Row& row : page()) {
    const bool says_why_not = row.proof.starts_with("n/a: ");
    EXPECT_TRUE(says_why_not || !names_of(row.proof).empty()) << row.id << ": " << row.proof;
  }
}

// What the checks above look for is found, and only that.
TEST(ConformancePageTest, ReadsRowsTestsAndReplays) {
  const std::vector<Row> rows = rows_of("| id | x |\n| C-001 | s | `A.B`, `oracle/c` | |\n| | **T** | | |\n");
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].id, "C-001");
  EXPECT_EQ(names_of(rows[0].proof), (std::vector<std::string>{"A.B", "oracle/c"}));
  std::set<std::string> tests;
  collect_tests("TEST(A, B) {\nTEST_F(C,\n       D) {}\nTEST_P(E, F)\nINSTANTIATE_TEST_SUITE_P(G, H, x)\n", tests);
  EXPECT_EQ(tests, (std::set<std::string>{"A.B", "C.D", "E.F"}));
  tests.clear();
  collect_replays("{\"timer\", timer},\n{\"a\"}, log(\"b\")", tests);
  EXPECT_EQ(tests, (std::set<std::string>{"oracle/timer"}));
}

}  // namespace
