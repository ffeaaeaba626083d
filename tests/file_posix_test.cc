// File as POSIX has it: devices, FIFOs, permissions. The rest is in file_test.cc.
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include <gyre/net/file.h>
#include <gyre/net/stream_concepts.h>

#include "support/net_fixture.h"
#include "support/net_task_fixture.h"

namespace {

using namespace gyre;
using gyre::test::TemporaryDirectory;
using std::string_view;

std::span<const std::byte> bytes_of(string_view text) { return std::as_bytes(std::span(text)); }

class FileTest : public gyre::test::NetTaskFixture {
 protected:
  // What went wrong in opening a file.
  std::string open_error(const std::string& path, OpenFlags flags = OpenFlags::read) {
    const Result<File> file = run(File::open(path, flags));
    EXPECT_FALSE(file) << path;
    return file ? "" : file.error().to_string();
  }
  std::string path(string_view name) { return directory_.path(name); }

  TemporaryDirectory directory_;
};

Task<Result<void>> write_with(std::string path, OpenFlags flags, string_view text) {
  Result<File> file = co_await File::open(path, flags);
  if (!file) co_return file.error();
  const Result<void> written = co_await write_all(*file, bytes_of(text));
  co_return written;
}
TEST_P(FileTest, ErrorsNameOperationAndPath) {
  const std::string missing = path("no/such");
  EXPECT_EQ(run(File::open("gone.txt")).error().to_string(), "open file gone.txt: no such file or directory");
  EXPECT_NE(open_error(missing).find("no/such: no such file or directory"), std::string::npos);
  EXPECT_EQ(run(File::open("/tmp")).error().to_string(), "open file /tmp: is a directory");
  EXPECT_EQ(run(File::open("/tmp", OpenFlags::write)).error(), std::errc::is_a_directory);
  EXPECT_EQ(run(File::open("/dev/null/x")).error(), std::errc::not_a_directory);
  EXPECT_EQ(run(File::open("")).error(), std::errc::no_such_file_or_directory);
  const std::string too_long(5000, 'x');
  EXPECT_NE(open_error(too_long).find("file name too long"), std::string::npos);
  EXPECT_EQ(run(File::open(string_view("a\0b", 3))).error(), std::errc::invalid_argument);

  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(run(File::open(path("fifo"), OpenFlags::read | OpenFlags::write)).error(), std::errc::invalid_seek);

  EXPECT_TRUE(run(write_with(path("secret"), OpenFlags::write | OpenFlags::create, "x")));
  ASSERT_EQ(::chmod(path("secret").c_str(), 0), 0);
  if (::geteuid() != 0) {
    EXPECT_EQ(run(File::open(path("secret"))).error(), std::errc::permission_denied);
  }
}

Task<void> fill_device() {
  Result<File> full = co_await File::open("/dev/full", OpenFlags::write);
  if (!full) co_return;
  const Result<std::size_t> count = co_await full->write(bytes_of("x"));
  EXPECT_FALSE(count);
  if (!count) {
    EXPECT_EQ(count.error().to_string(), "write at /dev/full: no space on device");
  }
  EXPECT_EQ(full->position(), 0U);
}
TEST_P(FileTest, FullDeviceIsAnErrorThatNamesIt) { EXPECT_TRUE(run(fill_device())); }

TEST_P(FileTest, FilesWithoutASizeAreReadToo) {
  const Result<std::string> status = run(read_file("/proc/self/status"));
  ASSERT_TRUE(status);
  EXPECT_NE(status->find("Pid:"), std::string::npos);
  EXPECT_EQ(run(read_file("/dev/null")).value_or("?"), "");
}

TEST_P(FileTest, DevicesAreReadToTheLimitAndNotReplaced) {
  EXPECT_EQ(run(read_file("/dev/zero", 10'000)).error(), Errc::limit_exceeded);
  EXPECT_EQ(run(write_file("/dev/null", "x")).error(), std::errc::invalid_argument);
}

TEST_P(FileTest, WriteFileReplacesAndKeepsThePermissions) {
  ASSERT_TRUE(run(write_file(path("f"), "old", {.permissions = 0600})));
  struct ::stat before {};
  ASSERT_EQ(::stat(path("f").c_str(), &before), 0);
  EXPECT_EQ(before.st_mode & 0777, 0600U);
  ASSERT_EQ(::chmod(path("f").c_str(), 0666), 0);
  ASSERT_TRUE(run(write_file(path("f"), "new", {.sync = true})));
  struct ::stat after {};
  ASSERT_EQ(::stat(path("f").c_str(), &after), 0);
  EXPECT_EQ(after.st_mode & 0777, 0666U) << "whatever the mask";
  EXPECT_NE(before.st_ino, after.st_ino) << "replaced, not overwritten";
  EXPECT_EQ(run(read_file(path("f"))).value_or("?"), "new");
}

GYRE_INSTANTIATE_FOR_EVERY_POLLER(FileTest);

}  // namespace
