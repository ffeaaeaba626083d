// File on every poller: positions, ends, flags, errors that name operation and path, whole files.
#include <array>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/net/buffered_reader.h>
#include <gyre/net/buffered_writer.h>
#include <gyre/net/file.h>
#include <gyre/task/task_group.h>
#include <gyre/task/timeout.h>

#include "support/net_fixture.h"
#include "support/net_task_fixture.h"

namespace {

using namespace gyre;
using namespace std::chrono_literals;
using gyre::test::pattern;
using gyre::test::TemporaryDirectory;
using std::string_view;

static_assert(ReadWriteStream<File>);

std::span<const std::byte> bytes_of(string_view text) { return std::as_bytes(std::span(text)); }
std::span<std::byte> room_of(std::string& text) { return std::as_writable_bytes(std::span(text)); }

class FileTest : public gyre::test::NetTaskFixture {
 protected:
  std::vector<std::string> names() {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
      found.push_back(entry.path().filename().string());
    }
    return found;
  }
  std::string path(string_view name) { return directory_.path(name); }

  TemporaryDirectory directory_;
};

Task<Result<void>> write_and_read(std::string path) {
  Result<File> file = co_await File::open(path, OpenFlags::read | OpenFlags::write | OpenFlags::create);
  if (!file) co_return file.error();
  Result<std::size_t> count = co_await file->write(bytes_of("hello, "));
  EXPECT_EQ(count.value_or(0U), 7U);
  count = co_await file->write(bytes_of("world"));
  EXPECT_EQ(count.value_or(0U), 5U);
  EXPECT_EQ(file->position(), 12U);
  EXPECT_EQ(file->size().value_or(0U), 12U);

  std::string text(64, '\0');
  count = co_await file->read(room_of(text));
  EXPECT_EQ(count.value_or(9U), 0U) << "at the end";
  file->seek(7);
  count = co_await file->read(room_of(text).first(3));
  EXPECT_EQ(text.substr(0, count.value_or(0U)), "wor");
  EXPECT_EQ(file->position(), 10U);

  count = co_await file->write_at(bytes_of("W"), 7);
  EXPECT_EQ(count.value_or(0U), 1U);
  count = co_await file->read_at(room_of(text), 5);
  EXPECT_EQ(text.substr(0, count.value_or(0U)), ", World");
  EXPECT_EQ(file->position(), 10U) << "positioned calls leave it alone";

  EXPECT_TRUE(file->resize(5));
  EXPECT_EQ(file->size().value_or(0U), 5U);
  const Result<void> synchronised = co_await file->sync();
  EXPECT_TRUE(synchronised);
  const Result<void> closed = co_await file->close();
  EXPECT_TRUE(closed);
  EXPECT_FALSE(file->is_open());
  co_return Result<void>{};
}
TEST_P(FileTest, ReadsAndWritesByPositionAndInOrder) {
  EXPECT_TRUE(run(write_and_read(path("f"))));
  EXPECT_EQ(run(read_file(path("f"))).value_or("?"), "hello");
}

Task<Result<void>> write_with(std::string path, OpenFlags flags, string_view text) {
  Result<File> file = co_await File::open(path, flags);
  if (!file) co_return file.error();
  const Result<void> written = co_await write_all(*file, bytes_of(text));
  co_return written;
}
TEST_P(FileTest, ErrorsNameOperationAndPathOnEverySystem) {
  EXPECT_EQ(run(File::open("gone.txt")).error().to_string(), "open file gone.txt: no such file or directory");
  EXPECT_EQ(run(File::open(path("no/such"))).error(), std::errc::no_such_file_or_directory);
  EXPECT_EQ(run(File::open(directory_.path())).error(), std::errc::is_a_directory);
  EXPECT_EQ(run(File::open(directory_.path(), OpenFlags::write)).error(), std::errc::is_a_directory);
  EXPECT_EQ(run(File::open("")).error(), std::errc::no_such_file_or_directory);
  EXPECT_EQ(run(File::open(string_view("a\0b", 3))).error(), std::errc::invalid_argument);
}

TEST_P(FileTest, WriteFileReplacesTheFileByAnother) {
  ASSERT_TRUE(run(write_file(path("f"), "old")));
  const Result<FileStatus> before = file_status(path("f").c_str());
  ASSERT_TRUE(run(write_file(path("f"), "new", {.sync = true})));
  const Result<FileStatus> after = file_status(path("f").c_str());
  ASSERT_TRUE(before.has_value() && after.has_value());
  EXPECT_NE(before->number, after->number) << "replaced, not overwritten";
  EXPECT_EQ(before->permissions, after->permissions);
  EXPECT_EQ(run(read_file(path("f"))).value_or("?"), "new");
}

TEST_P(FileTest, FlagsMeanWhatTheySay) {
  const std::string name = path("f");
  EXPECT_EQ(run(write_with(name, OpenFlags::write, "x")).error(), std::errc::no_such_file_or_directory);
  EXPECT_TRUE(run(write_with(name, OpenFlags::write | OpenFlags::create, "12345")));
  EXPECT_EQ(run(write_with(name, OpenFlags::write | OpenFlags::create | OpenFlags::exclusive, "x")).error(),
            std::errc::file_exists);
  EXPECT_TRUE(run(write_with(name, OpenFlags::write, "ab")));
  EXPECT_EQ(run(read_file(name)).value_or("?"), "ab345");
  EXPECT_TRUE(run(write_with(name, OpenFlags::append, "6")));
  EXPECT_TRUE(run(write_with(name, OpenFlags::append, "7")));
  EXPECT_EQ(run(read_file(name)).value_or("?"), "ab34567");
  EXPECT_TRUE(run(write_with(name, OpenFlags::write | OpenFlags::truncate, "new")));
  EXPECT_EQ(run(read_file(name)).value_or("?"), "new");
}

Task<void> write_slice(File& file, string_view all, std::size_t begin, std::size_t size) {
  const Result<std::size_t> count = co_await file.write_at(bytes_of(all.substr(begin, size)), begin);
  EXPECT_EQ(count.value_or(0U), size);
}
Task<void> read_slice(File& file, string_view all, std::size_t begin, std::size_t size) {
  std::string text(size, '\0');
  const Result<std::size_t> count = co_await file.read_at(room_of(text), begin);
  EXPECT_EQ(count.value_or(0U), size);
  EXPECT_TRUE(text == all.substr(begin, size));
}
Task<void> many_at_once(std::string path) {
  constexpr std::size_t slices = 64;
  constexpr std::size_t size = 4096;
  const std::string all = pattern(slices * size);
  Result<File> file = co_await File::open(path, OpenFlags::read | OpenFlags::write | OpenFlags::create);
  EXPECT_TRUE(file);
  if (!file) co_return;
  for (const auto body : {write_slice, read_slice}) {
    TaskGroup group;
    for (std::size_t i = 0; i < slices; ++i) {
      group.spawn(body, std::ref(*file), string_view(all), (slices - 1 - i) * size, size);
    }
    const Result<void> joined = co_await group.join();
    EXPECT_TRUE(joined);
  }
}
TEST_P(FileTest, TakesManyPositionedCallsAtOnce) { EXPECT_TRUE(run(many_at_once(path("f")))); }

// A cancelled call has either not happened, or its result is delivered.
Task<void> cancel_reads(std::string path, std::size_t size) {
  Result<File> file = co_await File::open(path);
  EXPECT_TRUE(file);
  if (!file) co_return;
  std::string text(1000, '\0');
  std::uint64_t total = 0;
  for (int i = 0; i < 2000; ++i) {
    const CancelScope scope(CancelScope::within(std::chrono::microseconds(i % 5)));
    const Result<std::size_t> count = co_await file->read(room_of(text));
    if (!count) {
      EXPECT_EQ(count.error(), std::errc::timed_out);
      continue;
    }
    total += *count;
    EXPECT_EQ(file->position(), total);
    if (*count == 0) break;
  }
  EXPECT_LE(total, size);
}
TEST_P(FileTest, CancelledReadLeavesThePosition) {
  const std::string all = pattern(300'000);
  ASSERT_TRUE(run(write_file(path("f"), all)));
  EXPECT_TRUE(run(cancel_reads(path("f"), all.size())));
}

Task<Result<File>> open_cancelled(string_view path) {
  CancelScope scope;
  scope.cancel();
  co_return co_await File::open(path);
}
TEST_P(FileTest, OpenInACancelledScopeOpensNothing) {
  EXPECT_EQ(run(open_cancelled(path("f"))).error(), std::errc::operation_canceled);
}

Task<void> lines_through_a_file(std::string path) {
  {
    Result<File> file = co_await File::open(path, OpenFlags::write | OpenFlags::create);
    EXPECT_TRUE(file);
    if (!file) co_return;
    BufferedWriter<File> writer(*file);
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE(writer.write("line " + std::to_string(i) + "\n"));
    const Result<void> closed = co_await writer.close();
    EXPECT_TRUE(closed);
  }
  Result<File> file = co_await File::open(path);
  EXPECT_TRUE(file);
  if (!file) co_return;
  BufferedReader<File> reader(*file);
  for (int i = 0; i < 1000; ++i) {
    const Result<string_view> line = co_await reader.read_line();
    EXPECT_EQ(line.value_or("?"), "line " + std::to_string(i) + "\n");
  }
  const Result<string_view> end = co_await reader.read_line();
  EXPECT_EQ(end.value_or("?"), "");
}
TEST_P(FileTest, ServesBufferedReaderAndWriter) { EXPECT_TRUE(run(lines_through_a_file(path("f")))); }

// --- Whole files -----------------------------------------------------------------------------------------------------

TEST_P(FileTest, WholeFilesOfAnySizeAreReadAndWritten) {
  for (const std::size_t size : {0U, 1U, 4095U, 4096U, 4097U, 1'000'000U}) {
    const std::string all = pattern(size);
    ASSERT_TRUE(run(write_file(path("f"), all)));
    const Result<std::string> read = run(read_file(path("f")));
    ASSERT_TRUE(read);
    EXPECT_TRUE(*read == all) << size;
  }
  EXPECT_EQ(names(), std::vector<std::string>{"f"}) << "no draft is left";
}

TEST_P(FileTest, ReadFileStopsAtItsLimit) {
  ASSERT_TRUE(run(write_file(path("f"), "12345")));
  EXPECT_EQ(run(read_file(path("f"), 5)).value_or("?"), "12345");
  EXPECT_EQ(run(read_file(path("f"), 4)).error(), Errc::limit_exceeded);
}

TEST_P(FileTest, WriteFileThatFailsLeavesTheOldOne) {
  ASSERT_TRUE(run(write_file(path("f"), "old")));
  EXPECT_EQ(run(write_file(directory_.path(), "x")).error(), std::errc::is_a_directory);
  EXPECT_EQ(run(write_file(path("no/such"), "x")).error(), std::errc::no_such_file_or_directory);
  const Result<void> written = run(with_timeout(Duration::zero(), write_file(path("f"), "half")));
  EXPECT_EQ(written.error(), std::errc::timed_out);
  EXPECT_EQ(run(read_file(path("f"))).value_or("?"), "old");
  EXPECT_EQ(names(), std::vector<std::string>{"f"});
}

Task<Result<void>> replace(string_view path, std::size_t size) {
  const std::string all(size, static_cast<char>('a' + size % 26));
  Result<void> written = co_await write_file(path, string_view(all));
  co_return written;
}
Task<Result<void>> replace_and_read(string_view path) {
  TaskGroup writers;
  for (std::size_t i = 0; i < 20; ++i) writers.spawn(replace, path, 1000 + i);
  for (int i = 0; i < 20; ++i) {
    const Result<std::string> seen = co_await read_file(path);
    if (!seen) continue;  // not there yet
    EXPECT_GE(seen->size(), 1000U);
    EXPECT_EQ(seen->find_first_not_of(seen->front()), std::string::npos) << "one content, not a mixture";
  }
  Result<void> joined = co_await writers.join();
  co_return joined;
}
TEST_P(FileTest, ManyReplaceOneFileAtOnce) {
  const std::string name = path("f");
  EXPECT_TRUE(run(replace_and_read(name)));
  EXPECT_EQ(names(), std::vector<std::string>{"f"});
}

GYRE_INSTANTIATE_FOR_EVERY_POLLER(FileTest);

}  // namespace
