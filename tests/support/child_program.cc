#include "child_program.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include <gtest/gtest.h>

#include <gyre/platform/process.h>

namespace gyre::test {
namespace {

constexpr const char* mark = "--be-child";

// Until the end; writes to `to` unless that is negative.
void copy(int from, int to) {
  static char buffer[65536];
  for (;;) {
    const auto count = ::read(from, buffer, sizeof(buffer));
    if (count <= 0) return;
    for (int done = 0; to >= 0 && done < static_cast<int>(count);) {
      const auto written = ::write(to, buffer + done, static_cast<unsigned>(count) - static_cast<unsigned>(done));
      if (written <= 0) std::_Exit(90);
      done += static_cast<int>(written);
    }
  }
}

void say(std::FILE* to, const std::string& text) {
  std::fputs((text + "\n").c_str(), to);
  std::fflush(to);
}

// Without reading ahead.
void read_line() {
  for (char c = 0; c != '\n';) {
    if (::read(0, &c, 1) != 1) return;
  }
}

void say_environment() {
  for (const std::string& entry : current_environment()) say(stdout, entry);
}

void say_value(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  say(stdout, value != nullptr ? value : "(none)");
}

void say_rest(int argc, char** argv, int first) {
  std::string line;
  for (int i = first; i < argc; ++i) line += '[' + std::string(argv[i]) + ']';
  say(stdout, line);
}

void do_step(std::string_view step) {
  const std::size_t space = step.find(' ');
  const std::string_view verb = step.substr(0, space);
  const std::string object(space == step.npos ? std::string_view() : step.substr(space + 1));
  if (verb == "cat") copy(0, 1);
  else if (verb == "drain") copy(0, -1);
  else if (verb == "line") read_line();
  else if (verb == "close") ::close(0);
  else if (verb == "say") say(stdout, object);
  else if (verb == "err") say(stderr, object);
  else if (verb == "flood") for (;;) say(stdout, "0123456789");
  else if (verb == "where") say(stdout, std::filesystem::current_path().string());
  else if (verb == "value") say_value(object);
  else if (verb == "list") say_environment();
  else if (verb == "copy") copy(std::atoi(object.c_str()), 1);
  else if (verb == "open") say(stdout, object + (child_steps::is_open_number(std::atoi(object.c_str())) ? " open" : " closed"));
  else if (verb == "ignore") child_steps::ignore_requests_to_end();
  else if (verb == "exit") std::_Exit(std::atoi(object.c_str()));
  else std::_Exit(91);
}

}  // namespace

Command child(std::vector<std::string> steps) {
  Command command(current_program());
  command.argument(mark);
  for (std::string& step : steps) command.argument(std::move(step));
  return command;
}

int be_child_or_test(int argc, char** argv) {
  if (argc < 2 || std::string_view(argv[1]) != mark) {
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
  }
  child_steps::end_after(60);
  child_steps::use_binary_streams();
  for (int i = 2; i < argc; ++i) {
    if (std::string_view(argv[i]) == "rest") {
      say_rest(argc, argv, i + 1);
      break;
    }
    do_step(argv[i]);
  }
  // Nothing is torn down: a test's own things are none of the child's.
  std::_Exit(0);
}

}  // namespace gyre::test
