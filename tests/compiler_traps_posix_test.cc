// What the compilers at hand do with coroutine code that our style forbids, and with the code that Gyre relies on.
//
// Each file of tests/traps/ is one trap. It is compiled and run for each compiler and optimisation level; what it
// observes is compared with tests/traps/observed.txt, which has a line per trap, compiler version and outcome. What
// Gyre relies on must be right everywhere, in the table or not. docs/COMPILER_TRAPS.md is that table made readable.
//
// GYRE_TRAPS=full: every compiler in PATH at every level (minutes). Otherwise only g++ and clang++-16, at -O0 and -O2.
// GYRE_TRAPS=update: as full, and writes the table and the page from what is seen. Read the difference before you
// commit it.
#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
using gyre::test::Job;
using gyre::test::read_text;
using gyre::test::run_jobs;
using gyre::test::TemporaryFolder;
using Strings = std::vector<std::string>;

const fs::path& root() { return gyre::test::source_root(); }
fs::path table_file() { return root() / "tests/traps/observed.txt"; }
fs::path page_file() { return root() / "docs/COMPILER_TRAPS.md"; }

bool mode_is(std::string_view mode) {
  const char* given = std::getenv("GYRE_TRAPS");
  return given != nullptr && given == mode;
}
bool updating() { return mode_is("update"); }
bool full() { return mode_is("full") || updating(); }

Strings split(const std::string& text, char separator) {
  Strings parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) {
    const auto first = part.find_first_not_of(' ');
    if (first != part.npos) part = part.substr(first, part.find_last_not_of(' ') - first + 1);
    parts.push_back(part);
  }
  return parts;
}

// --- Traps, compilers, levels ---------------------------------------------------------------------------------------

struct Trap {
  std::string name;
  std::string what;   // One line: the code in question.
  std::string group;  // "forbidden", "relied on" or "fact".
  std::string rule;   // What to write instead; what must hold; why it matters.
};

Trap read_trap(const fs::path& path) {
  Trap trap{.name = path.stem(), .what = {}, .group = {}, .rule = {}};
  std::istringstream lines(read_text(path));
  for (std::string line; std::getline(lines, line) && line.starts_with("// ");) {
    const auto colon = line.find(": ");
    if (colon == line.npos) continue;
    const std::string key = line.substr(3, colon - 3);
    const std::string value = line.substr(colon + 2);
    if (key == "Trap") trap.what = value;
    if (key == "Group") trap.group = value;
    if (key == "Rule") trap.rule = value;
  }
  return trap;
}

const std::vector<Trap>& traps() {
  static const std::vector<Trap> all = [] {
    std::vector<Trap> found;
    if (root().empty()) return found;
    for (const auto& entry : fs::directory_iterator(root() / "tests/traps")) {
      const fs::path& path = entry.path();
      if (path.extension() == ".cc" && path.stem() != "main") found.push_back(read_trap(path));
    }
    std::sort(found.begin(), found.end(), [](const Trap& a, const Trap& b) { return a.name < b.name; });
    return found;
  }();
  return all;
}

struct Level {
  std::string name;
  Strings flags;
  bool quick;  // Part of the short run.
};
const std::vector<Level>& levels() {
  static const std::vector<Level> all = {
      {"O0", {"-O0"}, true},
      {"Og", {"-Og"}, false},
      {"O1", {"-O1"}, false},
      {"O2", {"-O2"}, true},
      {"O3", {"-O3"}, false},
      {"asan", {"-O1", "-fsanitize=address"}, false},
      {"tsan", {"-O1", "-fsanitize=thread"}, false},
      {"ubsan", {"-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all"}, false},
  };
  return all;
}

struct Compiler {
  std::string command;
  std::string version;  // "gcc 12.2.0", "clang 16.0.6": the key in the table.
};

const std::vector<Compiler>& compilers() {
  static const std::vector<Compiler> all = [] {
    Strings commands = {"g++", "clang++-16"};
    if (full()) {
      commands.push_back("clang++");
      for (int version = 11; version <= 25; ++version) {
        commands.push_back("g++-" + std::to_string(version));
        commands.push_back("clang++-" + std::to_string(version));
      }
    }
    std::vector<Compiler> found;
    std::set<std::string> versions;
    for (const std::string& command : commands) {
      const std::string version = gyre::test::compiler_version(command);
      if (!version.empty() && versions.insert(version).second) found.push_back({command, version});
    }
    return found;
  }();
  return all;
}

// --- Observing ------------------------------------------------------------------------------------------------------

// All traps with one compiler at one level: what each observed.
class Run {
 public:
  Run(const Compiler& compiler, const Level& level) : compiler_(compiler), level_(level) {
    Strings names = {"main"};
    for (const Trap& trap : traps()) names.push_back(trap.name);
    std::vector<Job> compilations;
    for (const std::string& name : names) compilations.push_back(compilation(name));
    run_jobs(compilations);

    // What does not compile is left out; that, too, is an observation.
    Strings objects;
    std::vector<Job> runs;
    const fs::path program = folder_.path() / "program";
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (compilations[i].status == 0) {
        objects.push_back(object(names[i]));
        runs.push_back({.command = {program, names[i]}, .output = folder_.path() / (names[i] + ".seen")});
      } else {
        observed_[names[i]] = "does not compile: " + first_error(compilations[i].output);
      }
    }
    std::vector<Job> link = {{.command = command({compiler_.command}, objects, program), .output = folder_.path() / "link.log"}};
    run_jobs(link);
    run_jobs(runs);
    for (const Job& job : runs) observed_[job.command.back()] = verdict(job);
  }
  const std::string& observed(const std::string& trap) const { return observed_.at(trap); }

 private:
  Strings command(Strings start, const Strings& inputs, const fs::path& target) const {
    start.insert(start.end(), {"-std=c++20", "-w", "-pthread"});
    start.insert(start.end(), level_.flags.begin(), level_.flags.end());
    // clang 14 cannot put the marks of this check into a coroutine ("difference across sections"); g++ lacks it.
    if (level_.name == "ubsan" && compiler_.version.starts_with("clang")) start.push_back("-fno-sanitize=function");
    start.insert(start.end(), inputs.begin(), inputs.end());
    start.insert(start.end(), {"-o", target});
    return start;
  }
  fs::path object(const std::string& name) const { return folder_.path() / (name + ".o"); }
  Job compilation(const std::string& name) const {
    const Strings compiler = gyre::test::cached_compiler(compiler_.command);
    const fs::path source = root() / "tests/traps" / (name + ".cc");
    return {.command = command(compiler, {"-c", source}, object(name)), .output = folder_.path() / (name + ".log")};
  }

  static std::string verdict(const Job& job) {
    if (job.status != 0) return "the program ends with status " + std::to_string(job.status);
    std::istringstream lines(read_text(job.output));
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("observed: ")) return line.substr(10);
    }
    return "the program says nothing";
  }
  // The compiler's first complaint, without the place and without what differs from run to run.
  static std::string first_error(const fs::path& log) {
    std::istringstream lines(read_text(log));
    for (std::string line; std::getline(lines, line);) {
      if (line.find("PLEASE submit a bug report") != line.npos) return "the compiler crashes";
      const auto at = line.find("error: ");
      if (at != line.npos) return line.substr(at + 7);
    }
    return "no message";
  }

  const Compiler& compiler_;
  const Level& level_;
  const TemporaryFolder folder_;
  std::map<std::string, std::string> observed_;
};

// --- The table ------------------------------------------------------------------------------------------------------

// Trap, compiler version and level to what was observed.
class Table {
 public:
  using Key = std::array<std::string, 3>;

  static Table parse(const std::string& text) {
    Table table;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      if (line.empty() || line.starts_with("#")) continue;
      const Strings cells = split(line, '|');
      if (cells.size() != 4) continue;
      for (const std::string& level : split(cells[2], ' ')) table.cells_[{cells[0], cells[1], level}] = cells[3];
    }
    return table;
  }
  // Levels with the same outcome share a line.
  std::string print() const {
    std::string text =
        "# What each trap observed: trap | compiler | levels | outcome. Written by compiler_traps_test.\n";
    for (const Trap& trap : traps()) {
      for (const std::string& version : versions()) {
        for (const auto& [names, outcome] : outcomes(trap.name, version)) {
          text += trap.name + " | " + version + " | " + names + " | " + outcome + "\n";
        }
      }
    }
    return text;
  }
  void set(const std::string& trap, const std::string& version, const std::string& level, const std::string& outcome) {
    cells_[{trap, version, level}] = outcome;
  }
  // Null if there is no such line.
  const std::string* find(const std::string& trap, const std::string& version, const std::string& level) const {
    const auto cell = cells_.find({trap, version, level});
    return cell == cells_.end() ? nullptr : &cell->second;
  }
  Strings versions() const {
    std::set<std::string> names;
    for (const auto& [key, outcome] : cells_) names.insert(key[1]);
    return {names.rbegin(), names.rend()};  // gcc first, newer before older.
  }
  // Pairs of levels ("O0 O2") and their outcome, in the order of levels().
  std::vector<std::pair<std::string, std::string>> outcomes(const std::string& trap, const std::string& version) const {
    std::vector<std::pair<std::string, std::string>> found;
    for (const Level& level : levels()) {
      const std::string* outcome = find(trap, version, level.name);
      if (outcome == nullptr) continue;
      const auto same = std::find_if(found.begin(), found.end(), [&](const auto& o) { return o.second == *outcome; });
      if (same != found.end()) same->first += " " + level.name;
      else found.emplace_back(level.name, *outcome);
    }
    return found;
  }

 private:
  std::map<Key, std::string> cells_;
};

const Table& recorded() {
  static const Table table = Table::parse(read_text(table_file()));
  return table;
}

// --- The page -------------------------------------------------------------------------------------------------------

// Which levels do not get `trap` right: "all levels", "O0 O1", "right".
std::string summary(const Table& table, const Trap& trap, const std::string& version) {
  std::size_t wrong = 0;
  std::size_t seen = 0;
  std::string names;
  for (const Level& level : levels()) {
    const std::string* outcome = table.find(trap.name, version, level.name);
    if (outcome == nullptr) continue;
    ++seen;
    if (*outcome == "right") continue;
    ++wrong;
    names += (names.empty() ? "" : " ") + level.name;
  }
  if (seen == 0) return "not run";
  if (wrong == 0) return "right";
  return wrong == seen ? "**all levels**" : "**" + names + "**";
}

std::string group_table(const Table& table, const std::string& group, const std::string& rule_heading) {
  std::string text = "| trap | code |";
  std::string rule = "| --- | --- |";
  for (const std::string& version : table.versions()) {
    text += " " + version + " |";
    rule += " --- |";
  }
  text += " " + rule_heading + " |\n" + rule + " --- |\n";
  for (const Trap& trap : traps()) {
    if (trap.group != group) continue;
    text += "| [" + trap.name + "](../tests/traps/" + trap.name + ".cc) | " + trap.what + " |";
    for (const std::string& version : table.versions()) text += " " + summary(table, trap, version) + " |";
    text += " " + trap.rule + " |\n";
  }
  return text;
}

// Every outcome but "right", case by case.
std::string details(const Table& table, const std::string& group) {
  std::string text;
  for (const Trap& trap : traps()) {
    if (trap.group != group) continue;
    std::string lines;
    for (const std::string& version : table.versions()) {
      for (const auto& [names, outcome] : table.outcomes(trap.name, version)) {
        if (outcome == "right") continue;
        lines += "- " + version + " (" + names + "): " + outcome + "\n";
      }
    }
    if (!lines.empty()) text += "**" + trap.name + "**\n\n" + lines + "\n";
  }
  return text;
}

std::string page(const Table& table) {
  std::string text =
      "# Compiler traps\n\n"
      "What compilers do with coroutine code. This page is written by `make traps-update` from real runs; a test\n"
      "fails when a compiler of a recorded version behaves differently, or when this page and the record disagree.\n"
      "Each trap is one small file that counts constructions, copies, moves, destructions and frames, and runs each\n"
      "of its cases in a process of its own.\n\n"
      "Levels:";
  for (const Level& level : levels()) {
    text += " " + level.name + " (`";
    for (const std::string& flag : level.flags) text += (flag == level.flags.front() ? "" : " ") + flag;
    text += &level == &levels().back() ? "`).\n" : "`),";
  }
  text +=
      "*Copied as bytes* means that an object was duplicated without its constructor, and that both are destroyed.\n\n"
      "## Forbidden by our style\n\n"
      "A cell names the levels at which at least one case goes wrong. Where every cell says *right*, the rule is one of\n"
      "caution: the trap was reported for other compilers and was not seen on these.\n\n" +
      group_table(table, "forbidden", "instead") +
      "\n## Relied on\n\nThese must be right; the test fails on any compiler and level where they are not.\n\n" +
      group_table(table, "relied on", "what must hold") +
      "\n## Facts\n\nNeither right nor wrong, but the design leans on them.\n\n";
  for (const Trap& trap : traps()) {
    if (trap.group != "fact") continue;
    text += "**[" + trap.name + "](../tests/traps/" + trap.name + ".cc)**: " + trap.what + ". " + trap.rule + "\n\n";
    for (const std::string& version : table.versions()) {
      for (const auto& [names, outcome] : table.outcomes(trap.name, version)) {
        text += "- " + version + " (" + names + "): " + outcome + "\n";
      }
    }
    text += "\n";
  }
  return text + "## What was seen, case by case\n\n" + details(table, "forbidden") + details(table, "relied on");
}

// --- Observing and recording ----------------------------------------------------------------------------------------

// An update is written after each run, so that it may be done in parts (--gtest_filter) and survives an interruption.
void record(const Compiler& compiler, const Level& level, const Run& run) {
  static Table table = recorded();
  for (const Trap& trap : traps()) table.set(trap.name, compiler.version, level.name, run.observed(trap.name));
  fs::create_directories(page_file().parent_path());
  std::ofstream(table_file()) << table.print();
  std::ofstream(page_file()) << page(table);
}

const Run& run_of(const Compiler& compiler, const Level& level) {
  static std::map<std::pair<std::string, std::string>, Run> runs;
  const auto [entry, is_new] = runs.try_emplace({compiler.version, level.name}, compiler, level);
  if (is_new && updating()) record(compiler, level, entry->second);
  return entry->second;
}

// --- The tests ------------------------------------------------------------------------------------------------------

struct Case {
  const Compiler* compiler;
  const Level* level;
  const Trap* trap;
};
std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Compiler& compiler : compilers()) {
    for (const Level& level : levels()) {
      if (!full() && !level.quick) continue;
      for (const Trap& trap : traps()) all.push_back({&compiler, &level, &trap});
    }
  }
  return all;
}
std::string case_name(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.compiler->version + "_" + info.param.level->name + "_" + info.param.trap->name;
  std::replace_if(name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
  return name;
}

class CompilerTrapsTest : public testing::TestWithParam<Case> {};

TEST_P(CompilerTrapsTest, IsAsRecorded) {
  const auto& [compiler, level, trap] = GetParam();
  const std::string& seen = run_of(*compiler, *level).observed(trap->name);
  RecordProperty("observed", seen);
  if (trap->group == "relied on") {
    EXPECT_EQ(seen, "right") << trap->what;
  }
  if (updating()) return;
  const std::string* expected = recorded().find(trap->name, compiler->version, level->name);
  if (expected == nullptr) return;  // Nobody has looked at this compiler yet.
  EXPECT_EQ(seen, *expected) << "The compiler behaves differently than recorded. If that is so, run "
                                "`make traps-update`, read the difference, and reconsider the rule: " << trap->rule;
}

INSTANTIATE_TEST_SUITE_P(All, CompilerTrapsTest, testing::ValuesIn(cases()), case_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CompilerTrapsTest);

// Says so, rather than to pass without a single case.
TEST(CompilerTrapsSuiteTest, HasTrapsAndACompiler) {
  ASSERT_FALSE(root().empty()) << "tests/traps not found; set GYRE_SOURCE_ROOT";
  EXPECT_GE(traps().size(), 30u);
  if (compilers().empty()) GTEST_SKIP() << "no compiler in PATH";
}

TEST(CompilerTrapsSuiteTest, EveryTrapSaysWhatItIs) {
  for (const Trap& trap : traps()) {
    EXPECT_FALSE(trap.what.empty()) << trap.name;
    EXPECT_FALSE(trap.rule.empty()) << trap.name;
    EXPECT_TRUE(trap.group == "forbidden" || trap.group == "relied on" || trap.group == "fact") << trap.name;
  }
}

TEST(CompilerTrapsTableTest, PageAndRecordAgree) {
  if (updating()) GTEST_SKIP() << "both are being written";
  EXPECT_EQ(read_text(table_file()), recorded().print());
  EXPECT_EQ(read_text(page_file()), page(recorded())) << "run `make traps-update`";
}

}  // namespace
