// The poller contract: files (open_file, read_at, write_at), splice and send_file.

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "support/poller_fixture.h"

namespace gyre::test {
namespace {

class PollerFileTest : public PollerFixture {
 protected:
  Descriptor& file(std::string_view content) {
    return io_->attach(temporary_file(content), DescriptorKind::file);
  }
  std::string content(Descriptor& descriptor) {
    return content_of(descriptor.native);
  }
};
class PollerSpliceTest : public PollerFileTest {};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerFileTest);
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerSpliceTest);

TEST_P(PollerFileTest, ReadAtReadsAtTheOffset) {
  Descriptor& f = file("0123456789");
  Request& read = io_->read_at(f, 4, 3);
  EXPECT_EQ(io_->finish(read), 4);
  EXPECT_EQ(read.text(), "3456");
}

TEST_P(PollerFileTest, ReadAtIsShortAtTheEndAndZeroBehindIt) {
  Descriptor& f = file("0123456789");
  EXPECT_EQ(io_->finish(io_->read_at(f, 64, 7)), 3);
  EXPECT_EQ(io_->finish(io_->read_at(f, 64, 10)), 0);
  EXPECT_EQ(io_->finish(io_->read_at(f, 64, 1'000'000)), 0);
}

TEST_P(PollerFileTest, WriteAtWritesAtTheOffset) {
  Descriptor& f = file("0123456789");
  EXPECT_EQ(io_->finish(io_->write_at(f, "abc", 2)), 3);
  EXPECT_EQ(content(f), "01abc56789");
}

TEST_P(PollerFileTest, WriteAtBehindTheEndLeavesAHoleOfZeros) {
  Descriptor& f = file("ab");
  EXPECT_EQ(io_->finish(io_->write_at(f, "z", 5)), 1);
  EXPECT_EQ(content(f), std::string("ab\0\0\0z", 6));
}

TEST_P(PollerFileTest, OffsetsBeyondFourGigabytesAreNotTruncated) {
  Descriptor& f = file("");
  constexpr std::int64_t far_out = (std::int64_t{5} << 30) + 3;
  EXPECT_EQ(io_->finish(io_->write_at(f, "far", far_out)), 3);
  Request& read = io_->read_at(f, 8, far_out);
  EXPECT_EQ(io_->finish(read), 3);
  EXPECT_EQ(read.text(), "far");
  EXPECT_EQ(io_->finish(io_->read_at(f, 3, 3)), 3);
}

// C6: file operations of one descriptor are not limited to one per direction.
TEST_P(PollerFileTest, ManyOperationsOnOneFileAtOnce) {
  Descriptor& f = file("");
  std::vector<Request*> writes;
  for (int i = 0; i < 64; ++i) {
    writes.push_back(&io_->write_at(f, std::string(100, static_cast<char>('A' + i % 26)), i * 100));
  }
  for (Request* write : writes) EXPECT_EQ(io_->finish(*write), 100);
  std::vector<Request*> reads;
  for (int i = 0; i < 64; ++i) reads.push_back(&io_->read_at(f, 100, i * 100));
  for (int i = 0; i < 64; ++i) {
    EXPECT_EQ(io_->finish(*reads[static_cast<std::size_t>(i)]), 100);
    EXPECT_EQ(reads[static_cast<std::size_t>(i)]->text(),
              std::string(100, static_cast<char>('A' + i % 26)));
  }
}

TEST_P(PollerFileTest, LargeFileIsReadByteExact) {
  const std::string text = pattern(3 << 20);
  Descriptor& f = file(text);
  std::string got;
  while (got.size() < text.size()) {
    Request& read = io_->read_at(f, 1 << 20, static_cast<std::int64_t>(got.size()));
    ASSERT_GT(io_->finish(read), 0);
    got += read.text();
  }
  EXPECT_TRUE(got == text);
}

TEST_P(PollerFileTest, ReadOfADirectoryIsAnError) {
  const TemporaryDirectory directory;
  Request& open = io_->open_file(directory.path(), open_read | open_directory);
  ASSERT_GE(io_->finish(open), 0);
  Descriptor& d = io_->attach(std::move(open.descriptors[0]), DescriptorKind::file);
  EXPECT_EQ(io_->finish(io_->read_at(d, 64, 0)), -EISDIR);
}

TEST_P(PollerFileTest, NoInlineFileOperationsAreCompletedByWait) {
  Descriptor& f = file("0123456789");
  Request& read = io_->make(OperationKind::read_at, &f);
  read.data.resize(4);
  read.argument = read.data.data();
  read.size = 4;
  read.flags = operation_no_inline;
  EXPECT_FALSE(io_->start(read));
  EXPECT_EQ(io_->finish(read), 4);
}

TEST_P(PollerFileTest, OpenFileCreatesWritesAndReads) {
  const TemporaryDirectory directory;
  Request& open = io_->open_file(directory.path("new"), open_read | open_write | open_create, 0640);
  ASSERT_GE(io_->finish(open), 0);
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(directory.path("new")).permissions() & perms::owner_all, perms::owner_read | perms::owner_write);
  Descriptor& f = io_->attach(std::move(open.descriptors[0]), DescriptorKind::file);
  EXPECT_EQ(io_->finish(io_->write_at(f, "written", 0)), 7);
  EXPECT_EQ(io_->finish(io_->read_at(f, 64, 0)), 7);
}

TEST_P(PollerFileTest, OpenedDescriptorsAreCloseOnExec) {
  const TemporaryDirectory directory;
  Request& open = io_->open_file(directory.path("f"), open_write | open_create);
  ASSERT_GE(io_->finish(open), 0);
  EXPECT_TRUE(is_close_on_exec(raw(open.descriptors[0])));
}

TEST_P(PollerFileTest, OpenFileReportsWhatIsMissing) {
  const TemporaryDirectory directory;
  Request& open = io_->open_file(directory.path("missing"), open_read);
  EXPECT_EQ(io_->finish(open), -ENOENT);
  EXPECT_TRUE(open.operation.error() == std::errc::no_such_file_or_directory);
  EXPECT_EQ(io_->finish(io_->open_file(directory.path("no/such/place"), open_write | open_create)),
            -ENOENT);
}

TEST_P(PollerFileTest, OpenFileExclusiveRefusesWhatExists) {
  const TemporaryDirectory directory;
  const std::string path = directory.path("one");
  const std::size_t flags = open_write | open_create | open_exclusive;
  EXPECT_GE(io_->finish(io_->open_file(path, flags)), 0);
  EXPECT_EQ(io_->finish(io_->open_file(path, flags)), -EEXIST);
}

TEST_P(PollerFileTest, OpenFileTruncatesAndAppends) {
  const TemporaryDirectory directory;
  const std::string path = directory.path("log");
  Request& first = io_->open_file(path, open_write | open_create);
  ASSERT_GE(io_->finish(first), 0);
  write_all(first.descriptors[0], "old");

  Request& append = io_->open_file(path, open_write | open_append);
  ASSERT_GE(io_->finish(append), 0);
  write_all(append.descriptors[0], "new");
  EXPECT_EQ(content_of(path), "oldnew");

  ASSERT_GE(io_->finish(io_->open_file(path, open_write | open_truncate)), 0);
  EXPECT_EQ(content_of(path), "");
}

TEST_P(PollerFileTest, OpenFileKnowsDirectories) {
  const TemporaryDirectory directory;
  EXPECT_EQ(io_->finish(io_->open_file(directory.path(), open_write)), -EISDIR);
  EXPECT_GE(io_->finish(io_->open_file(directory.path(), open_read | open_directory)), 0);
  const std::string path = directory.path("file");
  EXPECT_GE(io_->finish(io_->open_file(path, open_write | open_create)), 0);
  EXPECT_EQ(io_->finish(io_->open_file(path, open_read | open_directory)), -ENOTDIR);
}

TEST_P(PollerFileTest, OpenFileWithoutDescriptorsLeftIsAnError) {
  const NoMoreDescriptors limit;
  EXPECT_EQ(io_->finish(io_->open_file("/dev/null", open_read)), -EMFILE);
}

TEST_P(PollerSpliceTest, SpliceFromAPipeToASocketIsByteExact) {
  Pipe pipe = pipe_pair();
  Pair pair = tcp_pair();
  Descriptor& from = io_->attach(std::move(pipe.read_end), DescriptorKind::stream);
  Descriptor& to = io_->attach(std::move(pair.near));
  const std::string text = pattern(50'000);
  write_all(pipe.write_end, text);
  std::string got;
  while (got.size() < text.size()) {
    const std::int64_t count = io_->finish(io_->splice(to, from, 1 << 20));
    ASSERT_GT(count, 0);
    got += read_exactly(pair.far, static_cast<std::size_t>(count));
  }
  EXPECT_TRUE(got == text);
}

TEST_P(PollerSpliceTest, SpliceFromASocketToAPipeIsByteExact) {
  Pipe pipe = pipe_pair();
  Pair pair = tcp_pair();
  Descriptor& to = io_->attach(std::move(pipe.write_end), DescriptorKind::stream);
  Descriptor& from = io_->attach(std::move(pair.near));
  const std::string text = pattern(50'000);
  write_all(pair.far, text);
  std::string got;
  while (got.size() < text.size()) {
    const std::int64_t count = io_->finish(io_->splice(to, from, 1 << 20));
    ASSERT_GT(count, 0);
    got += read_exactly(pipe.read_end, static_cast<std::size_t>(count));
  }
  EXPECT_TRUE(got == text);
}

TEST_P(PollerSpliceTest, SpliceMovesNoMoreThanAsked) {
  Pipe pipe = pipe_pair();
  Pair pair = unix_pair();
  Descriptor& from = io_->attach(std::move(pipe.read_end), DescriptorKind::stream);
  Descriptor& to = io_->attach(std::move(pair.near));
  write_all(pipe.write_end, "0123456789");
  EXPECT_EQ(io_->finish(io_->splice(to, from, 4)), 4);
  EXPECT_EQ(io_->finish(io_->splice(to, from, 100)), 6);
  EXPECT_EQ(read_exactly(pair.far, 10), "0123456789");
}

TEST_P(PollerSpliceTest, SpliceWaitsForTheSource) {
  Pipe pipe = pipe_pair();
  Pair pair = tcp_pair();
  Descriptor& from = io_->attach(std::move(pipe.read_end), DescriptorKind::stream);
  Descriptor& to = io_->attach(std::move(pair.near));
  Request& splice = io_->splice(to, from, 4096);
  EXPECT_EQ(io_->quiet(), 0u);
  write_all(pipe.write_end, "late");
  EXPECT_EQ(io_->finish(splice), 4);
  EXPECT_EQ(read_exactly(pair.far, 4), "late");
}

TEST_P(PollerSpliceTest, SpliceWaitsForTheTarget) {
  Pipe source = pipe_pair();
  Pipe target = pipe_pair();
  fill(target.write_end);
  write_all(source.write_end, "more");
  Descriptor& from = io_->attach(std::move(source.read_end), DescriptorKind::stream);
  Descriptor& to = io_->attach(std::move(target.write_end), DescriptorKind::stream);
  Request& splice = io_->splice(to, from, 4096);
  EXPECT_EQ(io_->quiet(), 0u);
  drain(target.read_end);
  EXPECT_EQ(io_->finish(splice), 4);
  EXPECT_EQ(read_exactly(target.read_end, 4), "more");
}

TEST_P(PollerSpliceTest, SpliceOfTheEndIsZero) {
  Pipe pipe = pipe_pair();
  Pair pair = tcp_pair();
  Descriptor& from = io_->attach(std::move(pipe.read_end), DescriptorKind::stream);
  Descriptor& to = io_->attach(std::move(pair.near));
  Request& splice = io_->splice(to, from, 4096);
  io_->settle();
  pipe.write_end.reset();
  EXPECT_EQ(io_->finish(splice), 0);
}

TEST_P(PollerSpliceTest, SpliceToAPeerThatHasGoneIsABrokenPipeAndNoSignal) {
  Pipe source = pipe_pair();
  Pipe target = pipe_pair();
  write_all(source.write_end, "x");
  Descriptor& from = io_->attach(std::move(source.read_end), DescriptorKind::stream);
  Descriptor& to = io_->attach(std::move(target.write_end), DescriptorKind::stream);
  target.read_end.reset();
  EXPECT_EQ(io_->finish(io_->splice(to, from, 16)), -EPIPE);
}

TEST_P(PollerSpliceTest, SendFileIsByteExact) {
  const std::string text = pattern(2 << 20);
  Descriptor& f = file(text);
  Pair pair = tcp_pair();
  Descriptor& to = io_->attach(std::move(pair.near));
  std::string got;
  std::size_t sent = 0;
  while (sent < text.size()) {
    Request& send = io_->send_file(to, f, static_cast<std::int64_t>(sent), text.size() - sent);
    ASSERT_TRUE(io_->run_until([&] {
      got += drain(pair.far);
      return send.done();
    }));
    ASSERT_GT(send.result, 0);
    sent += static_cast<std::size_t>(send.result);
  }
  got += read_exactly(pair.far, text.size() - got.size());
  EXPECT_TRUE(got == text);
}

TEST_P(PollerSpliceTest, SendFileHonoursOffsetAndSize) {
  Descriptor& f = file("0123456789");
  Pair pair = unix_pair();
  Descriptor& to = io_->attach(std::move(pair.near));
  EXPECT_EQ(io_->finish(io_->send_file(to, f, 3, 4)), 4);
  EXPECT_EQ(read_exactly(pair.far, 4), "3456");
}

TEST_P(PollerSpliceTest, SendFileIsShortAtTheEndAndZeroBehindIt) {
  Descriptor& f = file("0123456789");
  Pair pair = unix_pair();
  Descriptor& to = io_->attach(std::move(pair.near));
  EXPECT_EQ(io_->finish(io_->send_file(to, f, 8, 100)), 2);
  EXPECT_EQ(io_->finish(io_->send_file(to, f, 10, 100)), 0);
  EXPECT_EQ(io_->finish(io_->send_file(to, f, 1000, 100)), 0);
}

TEST_P(PollerSpliceTest, SendFileOfNothingSendsNothing) {
  Descriptor& f = file("0123456789");
  Pair pair = unix_pair();
  Descriptor& to = io_->attach(std::move(pair.near));
  EXPECT_EQ(io_->finish(io_->send_file(to, f, 3, 0)), 0);
  io_->close_now(to);
  EXPECT_EQ(read_to_end(pair.far), "");
}

TEST_P(PollerSpliceTest, SendFileWaitsForRoom) {
  Descriptor& f = file("content");
  Pair pair = unix_pair();
  fill(pair.near);
  Descriptor& to = io_->attach(std::move(pair.near));
  Request& send = io_->send_file(to, f, 0, 7);
  EXPECT_EQ(io_->quiet(), 0u);
  const std::string filler = drain(pair.far);
  EXPECT_GE(io_->finish(send), 1);
}

TEST_P(PollerSpliceTest, SendFileToAPeerThatHasGoneIsABrokenPipeAndNoSignal) {
  Descriptor& f = file("content");
  Pair pair = unix_pair();
  Descriptor& to = io_->attach(std::move(pair.near));
  pair.far.reset();
  EXPECT_EQ(io_->finish(io_->send_file(to, f, 0, 7)), -EPIPE);
}

}  // namespace
}  // namespace gyre::test
