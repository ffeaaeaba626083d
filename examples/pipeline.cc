// Pipeline: `sort | uniq -c` as two child processes with a pipe between them, fed and read by this program.
//
//   pipeline FILE...        counts the equal lines of some files
//   pipeline                counts a few lines of its own, and looks whether that is right
#include <cstdio>
#include <string>

#include <gyre/net/file.h>
#include <gyre/net/process.h>
#include <gyre/reactor/run.h>
#include <gyre/task/when_all.h>

gyre::Task<gyre::Result<std::string>> count_lines(std::string text) {
  gyre::Result<gyre::DescriptorPair> between = gyre::open_blocking_pipe();
  if (!between) co_return between.error();
  gyre::Command sort("sort");
  sort.variable("LC_ALL", "C");
  sort.input(gyre::Stdio::piped()).output(gyre::Stdio::descriptor(between->second.get()));
  gyre::Command uniq("uniq");
  uniq.argument("-c").input(gyre::Stdio::descriptor(between->first.get())).output(gyre::Stdio::piped());

  // Whatever goes wrong below: a child that runs is killed with its Process.
  gyre::Result<gyre::Process> first = co_await gyre::Process::start(sort);
  if (!first) co_return first.error();
  gyre::Result<gyre::Process> second = co_await gyre::Process::start(uniq);
  if (!second) co_return second.error();
  *between = {};  // only the children have the pipe now, so uniq sees its end

  auto both = co_await gyre::when_all(first->communicate(text), second->communicate());
  if (!both) co_return both.error();
  const auto& [sorted, counted] = *both;
  std::fprintf(stderr, "sort: %s, uniq: %s\n", sorted.status.to_string().c_str(), counted.status.to_string().c_str());
  co_return counted.output;
}

gyre::Task<gyre::Result<int>> count_files(int count, char** paths) {
  std::string text = count == 0 ? "pear\napple\npear\nplum\napple\npear\n" : "";
  for (int i = 0; i < count; ++i) {
    const gyre::Result<std::string> content = co_await gyre::read_file(paths[i]);
    if (!content) co_return content.error();
    text += *content;
  }
  const gyre::Result<std::string> counted = co_await count_lines(text);
  if (!counted) co_return counted.error();
  std::fputs(counted->c_str(), stdout);
  const bool is_right = *counted == "      2 apple\n      3 pear\n      1 plum\n";
  co_return count > 0 || is_right ? 0 : 1;
}

int main(int argc, char** argv) {
  const gyre::Result<int> result = gyre::run(count_files(argc - 1, argv + 1));
  if (result) return *result;
  std::fprintf(stderr, "pipeline: %s\n", result.error().to_string().c_str());
  return 1;
}
