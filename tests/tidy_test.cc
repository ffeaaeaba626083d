// The rules of the house that a program can check: layers, includes, the seam to the system, and what never lands.
//
// Each rule is a function from one file to its findings. The rules run over the whole repository, and each one is fed a
// snippet that breaks it and a similar one that does not, so that no rule is dead. The sources are found from the
// working directory upwards, or by GYRE_SOURCE_ROOT.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace {

namespace fs = std::filesystem;
using std::string_view;

// --- Text -----------------------------------------------------------------------------------------------------------

bool is_word(char c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Where a comment or literal that begins at `i` ends; `i` itself if none begins there.
std::size_t end_of_hidden(string_view text, std::size_t i) {
  const auto after = [&](string_view closing, std::size_t from) {
    const std::size_t at = text.find(closing, from);
    return at == text.npos ? text.size() : at + closing.size();
  };
  if (text.substr(i, 2) == "//") return std::min(text.find('\n', i), text.size());
  if (text.substr(i, 2) == "/*") return after("*/", i + 2);
  if (text.substr(i, 2) == "R\"") {
    const std::size_t open = text.find('(', i);
    if (open == text.npos) return i;
    return after(")" + std::string(text.substr(i + 2, open - i - 2)) + "\"", open);
  }
  const bool digit_separator = text[i] == '\'' && i > 0 && is_word(text[i - 1]);
  if ((text[i] != '"' && text[i] != '\'') || digit_separator) return i;
  std::size_t end = i + 1;
  while (end < text.size() && text[end] != text[i] && text[end] != '\n') end += text[end] == '\\' ? 2 : 1;
  return std::min(end + 1, text.size());
}

// The text with blanks for comments and literals; lines keep their numbers and columns.
std::string code_of(string_view text) {
  std::string code(text);
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t end = end_of_hidden(text, i);
    for (std::size_t k = i; k < end; ++k) {
      if (text[k] != '\n') code[k] = ' ';
    }
    i = std::max(end, i + 1);
  }
  return code;
}

struct Source {
  Source(std::string path_, std::string text_)
      : path(std::move(path_)), text(std::move(text_)), code(code_of(text)) {}

  bool in(string_view folder) const { return path.starts_with(std::string(folder) + "/"); }
  bool in_any(std::initializer_list<string_view> folders) const {
    return std::any_of(folders.begin(), folders.end(), [&](string_view f) { return in(f); });
  }
  bool in_library() const {
    return in_any({"platform", "task", "reactor", "net"}) || path == "gyre.h";
  }
  bool is_header() const { return path.ends_with(".h"); }
  // Of one system only: named after it.
  bool is_native() const {
    string_view stem = string_view(path).substr(0, path.rfind('.'));
    if (stem.ends_with("_detail")) stem.remove_suffix(7);
    for (string_view system : {"_linux", "_posix", "_bsd", "_macos", "_freebsd", "_windows", "_epoll", "_kqueue", "_iocp"}) {
      if (stem.ends_with(system)) return in("platform");
    }
    return in("platform") && path.find("io_uring") != path.npos;
  }

  std::string path;  // from the root, with slashes
  std::string text;
  std::string code;
};

using Findings = std::vector<std::string>;

void report(const Source& source, std::size_t offset, const std::string& what, Findings& findings) {
  const auto line = std::count(source.text.begin(), source.text.begin() + static_cast<std::ptrdiff_t>(offset), '\n');
  findings.push_back(source.path + ":" + std::to_string(line + 1) + ": " + what);
}

// Reports each place of `text` where `word` stands alone; one that begins or ends with punctuation may touch what it likes there.
void forbid(const Source& source, string_view text, string_view word, const std::string& why, Findings& findings) {
  for (std::size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if (is_word(word.front()) && at > 0 && is_word(text[at - 1])) continue;
    if (is_word(word.back()) && end < text.size() && is_word(text[end])) continue;
    report(source, at, std::string(word) + ": " + why, findings);
  }
}

struct Include {
  std::string name;    // without brackets or quotes
  bool quoted = false;
  std::size_t offset = 0;
};

std::vector<Include> includes_of(const Source& source) {
  std::vector<Include> includes;
  for (std::size_t at = 0; at < source.text.size(); at = source.text.find('\n', at) + 1) {
    const std::size_t end = std::min(source.text.find('\n', at), source.text.size());
    const string_view line = string_view(source.text).substr(at, end - at);
    const std::size_t open = line.find_first_of("<\"");
    if (line.starts_with("#include") && source.code[at] == '#' && open != line.npos) {
      const std::size_t close = line.find_first_of(">\"", open + 1);
      includes.push_back({std::string(line.substr(open + 1, close - open - 1)), line[open] == '"', at});
    }
    if (end == source.text.size()) break;
  }
  return includes;
}

// --- The rules ------------------------------------------------------------------------------------------------------

// platform < task < reactor < net: a folder includes only folders to its left, and nothing of tests or benches.
Findings layers(const Source& source) {
  Findings findings;
  constexpr string_view order[] = {"platform", "task", "reactor", "net"};
  const auto rank = [&](string_view path) {
    const string_view folder = path.substr(0, path.find('/'));
    return std::find(std::begin(order), std::end(order), folder) - std::begin(order);
  };
  if (!source.in_library() || source.path == "gyre.h") return findings;
  for (const Include& include : includes_of(source)) {
    if (include.quoted) {
      report(source, include.offset, "write #include <gyre/folder/file.h>", findings);
    } else if (include.name.starts_with("gyre/") && rank(include.name.substr(5)) > rank(source.path)) {
      report(source, include.offset, "this layer must not know " + include.name, findings);
    }
  }
  return findings;
}

bool is_system_header(string_view name) {
  for (string_view folder : {"sys/", "linux/", "netinet/", "arpa/", "net/", "asm/", "mach/"}) {
    if (name.starts_with(folder)) return true;
  }
  constexpr string_view files[] = {"unistd.h",  "fcntl.h",   "poll.h",   "signal.h",   "pthread.h",  "netdb.h",
                                   "sched.h",   "spawn.h",   "time.h",   "errno.h",    "dirent.h",   "ifaddrs.h",
                                   "windows.h", "winsock2.h", "ws2tcpip.h", "mswsock.h", "ucontext.h", "csignal"};
  return std::find(std::begin(files), std::end(files), name) != std::end(files);
}

// Headers are cheap and know no system; <chrono> comes through clock.h; no other folder than platform/ knows one at all.
Findings includes(const Source& source) {
  Findings findings;
  if (!source.in_library()) return findings;
  for (const Include& include : includes_of(source)) {
    const string_view name = include.name;
    for (string_view heavy : {"functional", "iostream", "regex", "ranges", "thread", "condition_variable"}) {
      if (source.is_header() && name == heavy) report(source, include.offset, "not in a header: " + include.name, findings);
    }
    if (name == "chrono" && source.path != "platform/clock.h") {
      report(source, include.offset, "<chrono> comes with <gyre/platform/clock.h>", findings);
    }
    if (name == "cassert" || name == "assert.h") report(source, include.offset, "use GYRE_CHECK", findings);
    const bool may_know_system = source.in("platform") && (!source.is_header() || source.is_native());
    if (is_system_header(name) && !may_know_system) {
      report(source, include.offset, "a header of the system: " + include.name, findings);
    }
  }
  return findings;
}

// The build picks the files; what depends on the build is a constant of check.h.
Findings conditional_compilation(const Source& source) {
  Findings findings;
  if (!source.in_library() && !source.in("examples")) return findings;
  // syscalls_posix.h chooses what is included, which no build can; native_thread_windows.h asks whose threads the standard
  // library has; the last two are of processors.
  for (string_view allowed : {"platform/check.h", "platform/compiler.h", "platform/poller.cc", "platform/syscalls_posix.h",
                              "platform/native_thread_windows.h", "platform/raw_syscall_linux.h", "platform/pause_instruction.h"}) {
    if (source.path == allowed) return findings;
  }
  for (string_view directive : {"#if", "#ifdef", "#ifndef", "#elif"}) {
    forbid(source, source.code, directive, "the build picks the files", findings);
  }
  return findings;
}

// Nothing outside platform/ calls the system, reads a clock or the environment, draws a random number or starts a
// thread: a simulated platform could not replace it.
Findings seam(const Source& source) {
  Findings findings;
  if (!source.in_library() || source.in("platform")) return findings;
  constexpr string_view words[] = {
      "chrono::steady_clock", "system_clock", "high_resolution_clock", "clock_gettime", "gettimeofday", "nanosleep",
      "usleep", "random_device", "mt19937", "mt19937_64", "default_random_engine", "srand", "getrandom", "arc4random",
      "getenv", "secure_getenv", "setenv", "std::thread", "std::jthread", "std::async", "this_thread", "pthread_create",
      "fork", "vfork", "posix_spawn", "execve", "syscall", "errno", "mmap", "munmap", "madvise", "sched_yield",
      "sched_setaffinity", "epoll_create1", "epoll_ctl", "epoll_wait", "eventfd", "io_uring_enter", "setsockopt",
      "getsockopt", "recvmsg", "sendmsg", "accept4", "getaddrinfo", "sigaction", "waitpid", "asm"};
  for (string_view word : words) forbid(source, source.code, word, "only platform/ may", findings);

  // ::name( with nothing before it is a function of the C library.
  const string_view code = source.code;
  for (std::size_t at = code.find("::"); at != code.npos; at = code.find("::", at + 2)) {
    if (at > 0 && (is_word(code[at - 1]) || code[at - 1] == '>' || code[at - 1] == ':')) continue;
    std::size_t end = at + 2;
    while (end < code.size() && is_word(code[end])) ++end;
    const string_view name = code.substr(at + 2, end - at - 2);
    if (end < code.size() && code[end] == '(' && !name.empty() && name != "operator" && name != "new") {
      report(source, at, "a system call? ::" + std::string(name), findings);
    }
  }
  return findings;
}

// Within platform/, only the files of the seam enter the kernel, so that tests can make every call fail.
Findings system_calls(const Source& source) {
  Findings findings;
  if (!source.in("platform") || source.path.starts_with("platform/syscalls_") ||
      source.path.starts_with("platform/raw_syscall_")) {
    return findings;
  }
  for (string_view word : {"syscall", "::epoll_wait", "::epoll_ctl", "::accept4", "::recvmsg", "::sendmsg", "::recv",
                           "::send", "::read", "::write", "::close", "::socket", "::connect", "::open", "::openat",
                           "::mmap", "::ioctl", "::fcntl", "::splice", "::sendfile", "asm"}) {
    for (std::size_t at = source.code.find(word); at != std::string::npos; at = source.code.find(word, at + 1)) {
      const std::size_t end = at + word.size();
      const char before = at == 0 ? ' ' : source.code[at - 1];
      if (is_word(before) || before == '>' || source.code.substr(end, 1) != "(") continue;
      report(source, at, std::string(word) + ": only platform/syscalls_* may", findings);
    }
  }
  return findings;
}

// The library compiles with -fno-exceptions. (GYRE_TRY and GYRE_CATCH do.)
Findings exceptions(const Source& source) {
  Findings findings;
  if (!source.in_library() || source.path == "platform/check.h") return findings;
  for (string_view word : {"throw", "try", "catch"}) forbid(source, source.code, word, "the library throws nothing", findings);
  return findings;
}

// Outside platform/ Visual C++ could compile it: no extension of GNU's. (Three builtins are common to all compilers.)
Findings gnu_only(const Source& source) {
  Findings findings;
  if (!source.in_any({"task", "reactor", "net"})) return findings;
  const string_view code = source.code;
  for (string_view word : {"__attribute__", "__extension__", "__PRETTY_FUNCTION__", "__int128", "__typeof__", "typeof",
                           "__asm__", "__thread"}) {
    forbid(source, code, word, "GNU's only: see platform/compiler.h", findings);
  }
  for (std::size_t at = code.find("__builtin_"); at != code.npos; at = code.find("__builtin_", at + 1)) {
    const string_view name = code.substr(at + 10, code.find('(', at) - at - 10);
    if (name != "FILE" && name != "LINE" && name != "FUNCTION") {
      report(source, at, "GNU's only: see platform/compiler.h", findings);
    }
  }
  // A call may have a braced list as argument: f({a, b}). Without a name before it, it is a statement as an expression.
  for (std::size_t at = code.find("({"); at != code.npos; at = code.find("({", at + 1)) {
    const std::size_t before = at == 0 ? code.npos : code.find_last_not_of(" \n", at - 1);
    if (before != code.npos && string_view("=(,?:&|!+-*/").find(code[before]) != string_view::npos) {
      report(source, at, "a statement as an expression is GNU's only", findings);
    }
  }
  return findings;
}

Findings never_lands(const Source& source) {
  Findings findings;
  forbid(source, source.text, "FIX" "ME", "never lands", findings);
  if (source.in_library()) forbid(source, source.code, "std::function", "allocates; nowhere in the library", findings);
  if (source.in_library() || source.in_any({"bench", "tools"})) {
    forbid(source, source.code, "using namespace", "only in tests and examples", findings);
  }
  if (source.in("tests")) {
    for (string_view word : {"sleep_for", "sleep_until(std", "usleep", "nanosleep"}) {
      forbid(source, source.code, word, "a test waits for the event, or moves the clock", findings);
    }
  }
  return findings;
}

// The end of the parentheses that open at `open`.
std::size_t closing(string_view code, std::size_t open) {
  int depth = 0;
  for (std::size_t i = open; i < code.size(); ++i) {
    depth += code[i] == '(' ? 1 : code[i] == ')' ? -1 : 0;
    if (depth == 0) return i;
  }
  return code.size();
}

// GCC 12 ran a co_await inside a macro's argument twice: await into a named local first.
// What the rest must not do is what these files are for.
bool is_trap(const Source& source) { return source.path.starts_with("tests/traps/"); }

Findings await_in_macro(const Source& source) {
  if (is_trap(source)) return {};
  Findings findings;
  const string_view code = source.code;
  for (string_view macro : {"EXPECT_", "ASSERT_", "GYRE_CHECK", "GYRE_DCHECK"}) {
    for (std::size_t at = code.find(macro); at != code.npos; at = code.find(macro, at + 1)) {
      const std::size_t open = code.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789", at);
      if (open == code.npos || code[open] != '(') continue;
      const string_view arguments = code.substr(open, closing(code, open) - open);
      if (arguments.find("co_await") != arguments.npos) report(source, at, "co_await inside a macro", findings);
    }
  }
  return findings;
}

// GCC 12 destroys twice what a capturing lambda holds that stands in one expression with co_await.
Findings await_with_lambda(const Source& source) {
  if (is_trap(source)) return {};
  Findings findings;
  const string_view code = source.code;
  for (std::size_t at = code.find("co_await"); at != code.npos; at = code.find("co_await", at + 1)) {
    const std::size_t begin = code.find_last_of(";{}", at) + 1;
    const string_view statement = code.substr(begin, code.find_first_of(";{", at) - begin);
    for (std::size_t open = statement.find('['); open != statement.npos; open = statement.find('[', open + 1)) {
      const std::size_t before = open == 0 ? statement.npos : statement.find_last_not_of(" \n", open - 1);
      const bool introduces = before == statement.npos || string_view("(,=").find(statement[before]) != string_view::npos;
      if (introduces && statement.substr(open, 2) != "[]" && statement.substr(open, 2) != "[[") {
        report(source, begin + open, "a capturing lambda in one expression with co_await", findings);
      }
    }
  }
  return findings;
}

// A header says what it is, then #pragma once.
Findings header_anatomy(const Source& source) {
  Findings findings;
  if (!source.is_header()) return findings;
  if (!source.text.starts_with("// ")) report(source, 0, "a header begins by saying what it is", findings);
  const std::size_t first = source.code.find_first_not_of(" \n");
  if (first == std::string::npos || source.code.compare(first, 12, "#pragma once") != 0) {
    report(source, 0, "after that comment comes #pragma once", findings);
  }
  return findings;
}

struct Rule {
  const char* name;
  Findings (*check)(const Source&);
};

void PrintTo(const Rule& rule, std::ostream* out) { *out << rule.name; }

constexpr Rule rules[] = {
    {"layers", layers},
    {"includes", includes},
    {"conditional_compilation", conditional_compilation},
    {"seam", seam},
    {"system_calls", system_calls},
    {"exceptions", exceptions},
    {"gnu_only", gnu_only},
    {"never_lands", never_lands},
    {"await_in_macro", await_in_macro},
    {"await_with_lambda", await_with_lambda},
    {"header_anatomy", header_anatomy},
};

// --- The repository -------------------------------------------------------------------------------------------------

std::string read_file(const fs::path& path) {
  std::ifstream in(path);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

fs::path source_root() {
  if (const char* root = std::getenv("GYRE_SOURCE_ROOT")) return root;
  for (fs::path folder = fs::current_path(); folder != folder.parent_path(); folder = folder.parent_path()) {
    if (fs::exists(folder / "platform/poller.h")) return folder;
  }
  return {};
}

std::vector<Source> read_sources() {
  std::vector<Source> sources;
  const fs::path root = source_root();
  const auto add = [&](const fs::path& path) {
    if (path.extension() != ".h" && path.extension() != ".cc") return;
    sources.emplace_back(path.lexically_relative(root).generic_string(), read_file(path));
  };
  if (root.empty()) return sources;
  if (fs::exists(root / "gyre.h")) add(root / "gyre.h");
  for (const char* folder : {"platform", "task", "reactor", "net", "tests", "bench", "examples", "tools"}) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (entry.is_regular_file()) add(entry.path());
    }
  }
  return sources;
}

const std::vector<Source>& repository() {
  static const std::vector<Source> sources = read_sources();
  return sources;
}

bool has_file(string_view path) {
  return std::any_of(repository().begin(), repository().end(), [&](const Source& s) { return s.path == path; });
}

TEST(TidyTest, FindsTheSources) {
  EXPECT_TRUE(has_file("platform/check.h"));
  EXPECT_TRUE(has_file("platform/check.cc"));
  EXPECT_TRUE(has_file("tests/tidy_test.cc"));
  for (const Source& source : repository()) EXPECT_FALSE(source.text.empty()) << source.path;
}

class TidyRuleTest : public testing::TestWithParam<Rule> {};

TEST_P(TidyRuleTest, HoldsInEveryFile) {
  for (const Source& source : repository()) {
    for (const std::string& finding : GetParam().check(source)) ADD_FAILURE() << finding;
  }
}

INSTANTIATE_TEST_SUITE_P(All, TidyRuleTest, testing::ValuesIn(rules),
                         [](const auto& rule) { return std::string(rule.param.name); });

// gyre/gyre.h includes every header of the upper layers but the plumbing (x_detail.h); platform/ comes with them.
TEST(TidyTest, UmbrellaHeaderIsComplete) {
  const auto umbrella = std::find_if(repository().begin(), repository().end(),
                                     [](const Source& s) { return s.path == "gyre.h"; });
  if (umbrella == repository().end()) GTEST_SKIP() << "there is no gyre.h yet";
  for (const Source& source : repository()) {
    const bool is_public = source.in_any({"task", "reactor", "net"}) && source.is_header() &&
                           !source.path.ends_with("_detail.h");
    if (!is_public) continue;
    EXPECT_NE(umbrella->text.find("#include <gyre/" + source.path + ">"), std::string::npos) << source.path;
  }
}

// Blocks of code in `page` that follow a line `<!-- code: FILE -->` and are not in that file, word for word.
Findings stale_code(const std::string& page, std::string (*read)(const fs::path&)) {
  Findings findings;
  constexpr string_view mark = "<!-- code: ";
  for (std::size_t at = page.find(mark); at != page.npos; at = page.find(mark, at + 1)) {
    const std::size_t name = at + mark.size();
    const std::string file = page.substr(name, page.find(" -->", name) - name);
    const std::size_t begin = page.find("```cpp\n", at) + 7;
    const std::string block = page.substr(begin, page.find("```", begin) - begin);
    if (block.empty() || read(file).find(block) == std::string::npos) findings.push_back(file);
  }
  return findings;
}

TEST(TidyTest, CodeOfTheReadmeIsCutFromFilesThatAreBuilt) {
  const std::string readme = read_file(source_root() / "README.md");
  EXPECT_NE(readme.find("<!-- code: "), std::string::npos);
  const auto read = [](const fs::path& file) { return read_file(source_root() / file); };
  for (const std::string& file : stale_code(readme, read)) {
    ADD_FAILURE() << "README.md shows what is not in " << file;
  }
}

TEST(TidyTest, StaleCodeIsFound) {
  const auto read = [](const fs::path&) { return std::string("int a;\nint b;\n"); };
  EXPECT_EQ(stale_code("<!-- code: x.cc -->\n```cpp\nint b;\n```\n", read).size(), 0u);
  EXPECT_EQ(stale_code("<!-- code: x.cc -->\n```cpp\nint c;\n```\n", read), Findings{"x.cc"});
}

// --- Each rule can fail ---------------------------------------------------------------------------------------------

struct Case {
  Findings (*rule)(const Source&);
  const char* path;
  const char* text;
  std::size_t findings;
};

// Literals of this file are blanked before the rules see it, so the snippets below do not count against it.
const Case cases[] = {
    {layers, "platform/a.h", "#include <gyre/task/task.h>\n", 1},
    {layers, "reactor/a.cc", "#include <gyre/net/tcp.h>\n#include <gyre/task/task.h>\n", 1},
    {layers, "net/a.cc", "#include \"tcp.h\"\n", 1},
    {layers, "task/a.cc", "#include <gyre/gyre.h>\n", 1},
    {layers, "task/a.cc", "#include <gyre/tests/support/fake.h>\n", 1},
    {layers, "net/a.cc", "#include <gyre/reactor/reactor.h>\n#include <gyre/net/b.h>\n#include <vector>\n", 0},
    {layers, "platform/a.h", "// #include <gyre/task/task.h>\n", 0},
    {layers, "tests/a_test.cc", "#include <gyre/net/tcp.h>\n", 0},

    {includes, "task/a.h", "#include <functional>\n", 1},
    {includes, "task/a.h", "#include <thread>\n#include <ranges>\n#include <iostream>\n#include <regex>\n", 4},
    {includes, "task/a.cc", "#include <functional>\n", 0},
    {includes, "task/a.cc", "#include <chrono>\n", 1},
    {includes, "platform/clock.h", "#include <chrono>\n", 0},
    {includes, "platform/a.h", "#include <sys/epoll.h>\n", 1},
    {includes, "platform/a.h", "#include <unistd.h>\n", 1},
    {includes, "platform/syscalls_linux.h", "#include <sys/epoll.h>\n", 0},
    {includes, "platform/a_linux_detail.h", "#include <unistd.h>\n", 0},
    {includes, "platform/a.cc", "#include <unistd.h>\n", 0},
    {includes, "net/a.cc", "#include <netinet/in.h>\n", 1},
    {includes, "net/a_linux.h", "#include <netinet/in.h>\n", 1},
    {includes, "reactor/a.cc", "#include <cassert>\n", 1},
    {includes, "bench/a_bench.cc", "#include <thread>\n#include <chrono>\n", 0},

    {conditional_compilation, "task/a.cc", "#ifdef __linux__\n#endif\n", 1},
    {conditional_compilation, "platform/a.h", "#if A\n#elif B\n#endif\n", 2},
    {conditional_compilation, "platform/check.h", "#if A\n#endif\n", 0},
    {conditional_compilation, "tests/a_test.cc", "#if A\n#endif\n", 0},

    {seam, "task/a.cc", "auto t = std::chrono::steady_clock::now();\n", 1},
    {seam, "task/a.cc", "auto t = gyre::steady_clock().now();\n", 0},
    {seam, "net/a.cc", "::close(fd);\n", 1},
    {seam, "net/a.cc", "if (x) ::bind(fd, a, n);\n", 1},
    {seam, "net/a.cc", "stream.close(); Poller::close(fd); a->read(b); ::new (p) T(); ::operator delete(p);\n", 0},
    {seam, "reactor/a.cc", "const char* p = std::getenv(\"HOME\");\n", 1},
    {seam, "reactor/a.cc", "std::thread t(run);\n", 1},
    {seam, "reactor/a.cc", "std::mt19937_64 random;\n", 1},
    {seam, "reactor/a.cc", "int e = errno;\n", 1},
    {seam, "reactor/a.cc", "// errno, fork and getenv\n", 0},
    {seam, "platform/a.cc", "int e = errno; ::close(fd);\n", 0},

    {system_calls, "platform/poller_epoll.cc", "long n = syscall(SYS_read, fd);\n", 1},
    {system_calls, "platform/poller_epoll.cc", "::epoll_wait(fd, e, 1, 0);\n", 1},
    {system_calls, "platform/poller_epoll.cc", "sys::epoll_wait(fd); Poller::close(d); a.read(b);\n", 0},
    {system_calls, "platform/syscalls_linux.cc", "syscall(SYS_read); ::read(fd, b, n);\n", 0},

    {exceptions, "platform/a.cc", "throw 1;\n", 1},
    {exceptions, "task/a.h", "try { f(); } catch (...) {}\n", 2},
    {exceptions, "task/a.h", "bool try_lock(); void f() noexcept;  // throws nothing; do not throw\n", 0},
    {exceptions, "tests/a_test.cc", "throw 1;\n", 0},

    {gnu_only, "task/a.cc", "int f() __attribute__((cold));\n__extension__ typedef int t;\n", 2},
    {gnu_only, "task/a.cc", "void* p = __builtin_frame_address(0);\n", 1},
    {gnu_only, "net/a.h", "auto n = __PRETTY_FUNCTION__;\n", 1},
    {gnu_only, "reactor/a.cc", "int a = ({ int b = 1; b; });\n", 1},
    {gnu_only, "task/a.h", "void f(const char* file = __builtin_FILE()); int n = std::min({a, b}); g<int>({1});\n", 0},
    {gnu_only, "platform/a.h", "int f() __attribute__((cold));\n", 0},

    {never_lands, "tests/a_test.cc", "// FIX" "ME: later\n", 1},
    {never_lands, "task/a.cc", "using namespace std;\n", 1},
    {never_lands, "bench/a_bench.cc", "using namespace std;\n", 1},
    {never_lands, "tests/a_test.cc", "using namespace std::chrono_literals;\n", 0},
    {never_lands, "task/a.h", "std::function<void()> f;\n", 1},
    {never_lands, "tests/a_test.cc", "std::this_thread::sleep_for(50ms);\n", 1},
    {never_lands, "tests/a_test.cc", "gyre::sleep_until(deadline);\n", 0},

    {await_in_macro, "tests/a_test.cc", "EXPECT_EQ(co_await f(), 1);\n", 1},
    {await_in_macro, "tests/a_test.cc", "ASSERT_TRUE(\n    (co_await g(h())).has_value());\n", 1},
    {await_in_macro, "task/a.cc", "GYRE_CHECK(co_await f());\n", 1},
    {await_in_macro, "tests/traps/a.cc", "EXPECT_EQ(co_await f(), 1);\n", 0},
    {await_in_macro, "tests/a_test.cc", "int n = co_await f();\nEXPECT_EQ(n, 1);\n", 0},

    {await_with_lambda, "tests/a_test.cc", "int n = co_await offload([&] { return 1; });\n", 1},
    {await_with_lambda, "net/a.cc", "{ co_await f(1, [this] { g(); }); }\n", 1},
    {await_with_lambda, "tests/a_test.cc", "int n = co_await offload([] { return 1; });\n", 0},
    {await_with_lambda, "tests/a_test.cc", "co_await read(buffers[i]); [[maybe_unused]] int n = 1;\n", 0},
    {await_with_lambda, "tests/a_test.cc", "auto f = [&] { return 1; };\nint n = co_await offload(f);\n", 0},

    {header_anatomy, "task/a.h", "#pragma once\n", 1},
    {header_anatomy, "task/a.h", "// What it is.\n#include <new>\n#pragma once\n", 1},
    {header_anatomy, "task/a.h", "// What it is.\n//\n// Threads: one.\n#pragma once\n", 0},
    {header_anatomy, "task/a.cc", "int n;\n", 0},
};

TEST(TidyTest, EachRuleFindsWhatItForbidsAndNothingElse) {
  for (const Case& c : cases) {
    const Findings findings = c.rule(Source(c.path, c.text));
    EXPECT_EQ(findings.size(), c.findings)
        << c.path << ":\n" << c.text << (findings.empty() ? "" : findings.front());
  }
}

TEST(TidyTest, EachRuleHasACaseThatBreaksItAndOneThatDoesNot) {
  for (const Rule& rule : rules) {
    const auto counts = [&](bool breaks) {
      return std::count_if(std::begin(cases), std::end(cases), [&](const Case& c) {
        return c.rule == rule.check && (c.findings > 0) == breaks;
      });
    };
    EXPECT_GT(counts(true), 0) << rule.name;
    EXPECT_GT(counts(false), 0) << rule.name;
  }
}

TEST(TidyTest, CommentsAndLiteralsAreNoCode) {
  EXPECT_EQ(code_of("a // b\nc"), "a     \nc");
  EXPECT_EQ(code_of("a /* b\nb */ c"), "a     \n     c");
  EXPECT_EQ(code_of(R"(f("x\"y", 'z') + 1'000)"), "f(      ,    ) + 1'000");
  EXPECT_EQ(code_of("R\"x(a)\" b)x\" c"), "             c");
}

TEST(TidyTest, FindingsNameTheLine) {
  const Findings findings = exceptions(Source("task/a.cc", "int a;\n// throw\n\nvoid f() { throw 1; }\n"));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_TRUE(findings[0].starts_with("task/a.cc:4: throw")) << findings[0];
}

}  // namespace
