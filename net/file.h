// File: a file that is read and written without holding up the loop: by the kernel itself with io_uring; elsewhere at
// once if the data are in memory, else by a thread of the poller.
//
//   Result<File> file = co_await File::open("input.txt");
//   Result<std::size_t> count = co_await file->read(buffer);       // on from where the last one ended
//   Result<std::size_t> again = co_await file->read_at(buffer, 0); // any number of these at a time
//
// A File is a ReadStream and a WriteStream, so BufferedReader, BufferedWriter and copy() serve it, too. Every error names
// the operation and the path; a file that is not open answers Errc::closed. Cancel-safety: atomic; what the thread has begun it finishes, and its result is delivered.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <gyre/net/io_handle.h>
#include <gyre/platform/file_system.h>
#include <gyre/platform/poller.h>
#include <gyre/platform/result.h>
#include <gyre/reactor/io.h>
#include <gyre/task/task.h>

namespace gyre {

// To be or-ed.
enum class OpenFlags : std::uint32_t {
  read = open_read,
  write = open_write,
  create = open_create,        // if it is not there
  exclusive = open_exclusive,  // with create: it must not be there
  truncate = open_truncate,    // what it held is dropped
  append = open_append,        // every write goes to the end; implies write
};
constexpr OpenFlags operator|(OpenFlags a, OpenFlags b) noexcept {
  return static_cast<OpenFlags>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}

class File : public IoHandle {
 public:
  // Not open.
  File() noexcept = default;

  // `permissions` of a file that is created, cut by the process's mask.
  // Errors: no_such_file_or_directory, permission_denied, is_a_directory, not_a_directory, file_exists,
  // filename_too_long, too_many_files_open, invalid_seek (a FIFO or a socket), invalid_argument (a NUL in the path).
  [[nodiscard]] static Task<Result<File>> open(std::string_view path, OpenFlags flags = OpenFlags::read,
                                               std::uint32_t permissions = 0666);
  // Takes over a descriptor; on failure it is closed. Must be called inside a task. Errors: is_a_directory,
  // invalid_seek.
  [[nodiscard]] static Result<File> adopt(UniqueFd file, std::string_view path = {});

  class [[nodiscard]] TransferAwaiter;
  class [[nodiscard]] SyncAwaiter;

  // Reads at least one byte at `offset`; zero at the end of the file. The file must be open for reading.
  TransferAwaiter read_at(std::span<std::byte> buffer, std::uint64_t offset) noexcept;
  // Writes at least one byte at `offset` and returns how many. `bytes` must not be empty, and the file open for writing.
  // Errors: no_space_on_device, file_too_large, io_error.
  TransferAwaiter write_at(std::span<const std::byte> bytes, std::uint64_t offset) noexcept;
  // The same at position(), which moves on; one of them at a time.
  TransferAwaiter read(std::span<std::byte> buffer) noexcept;
  TransferAwaiter write(std::span<const std::byte> bytes) noexcept;
  std::uint64_t position() const noexcept { return position_; }
  void seek(std::uint64_t position) noexcept { position_ = position; }

  // What was written is on the medium once this has completed. Errors: io_error, no_space_on_device.
  SyncAwaiter sync() noexcept;
  // These two are calls of the file system's, made at once.
  [[nodiscard]] Result<std::uint64_t> size() const noexcept;
  [[nodiscard]] Result<void> resize(std::uint64_t size) noexcept;

  // A file has no side to end: does nothing, so that a File is a WriteStream.
  [[nodiscard]] Result<void> shutdown(ShutdownSide = ShutdownSide::write) noexcept { return {}; }
  // The poller's slot of it, for operations that a File has not.
  Descriptor& slot() const noexcept { return IoHandle::open(); }
  const Place& place() const noexcept { return place_; }

 private:
  Descriptor* slot_if_open() const noexcept { return is_open() ? &slot() : nullptr; }

  std::uint64_t position_ = 0;
  Place place_;
};

namespace detail {

// Holds its request itself: files take many at a time.
class FileAwaiter {
 public:
  // `descriptor`: null if the file is not open.
  FileAwaiter(OperationKind kind, Descriptor* descriptor) noexcept {
    operation_.kind = kind;
    operation_.descriptor = descriptor;
  }
  FileAwaiter(const FileAwaiter&) = delete;
  FileAwaiter& operator=(const FileAwaiter&) = delete;

  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> frame) noexcept {
    if (operation_.descriptor == nullptr) [[unlikely]] return false;
    return start_operation(*this, operation_, *frame.promise().context, frame.address());
  }

  // For start_operation().
  void begin_wait(TaskContext& task) noexcept { task_ = &task; }
  TaskContext& task() const noexcept { return *task_; }
  void take(const Operation&, std::int64_t result) noexcept { operation_.result = result; }

 protected:
  bool failed() const noexcept { return operation_.failed() || operation_.descriptor == nullptr; }
  Error error(const Place& place) const noexcept {
    if (operation_.descriptor == nullptr) return Error(Errc::closed, operation_.kind).at(place);
    return operation_error(operation_.kind, operation_.result).at(place);
  }

  Operation operation_;

 private:
  TaskContext* task_ = nullptr;
};

}  // namespace detail

class [[nodiscard]] File::TransferAwaiter : public detail::FileAwaiter {
 public:
  // `moves`: the file's position is where it begins, and moves on.
  TransferAwaiter(File& file, OperationKind kind, std::span<std::byte> buffer, std::uint64_t offset, bool moves) noexcept;

  Result<std::size_t> await_resume() const noexcept {
    if (failed()) [[unlikely]] return error(file_.place_);
    if (moves_) file_.position_ += static_cast<std::uint64_t>(operation_.result);
    return static_cast<std::size_t>(operation_.result);
  }

 private:
  File& file_;
  bool moves_;
};

class [[nodiscard]] File::SyncAwaiter : public detail::FileAwaiter {
 public:
  explicit SyncAwaiter(File& file) noexcept
      : FileAwaiter(OperationKind::sync_file, file.slot_if_open()), file_(file) {}

  Result<void> await_resume() const noexcept {
    if (failed()) [[unlikely]] return error(file_.place_);
    return {};
  }

 private:
  const File& file_;
};

inline File::TransferAwaiter File::read_at(std::span<std::byte> buffer, std::uint64_t offset) noexcept {
  return {*this, OperationKind::read_at, buffer, offset, false};
}
inline File::TransferAwaiter File::write_at(std::span<const std::byte> bytes, std::uint64_t offset) noexcept {
  return {*this, OperationKind::write_at, {const_cast<std::byte*>(bytes.data()), bytes.size()}, offset, false};
}
inline File::TransferAwaiter File::read(std::span<std::byte> buffer) noexcept {
  return {*this, OperationKind::read_at, buffer, position_, true};
}
inline File::TransferAwaiter File::write(std::span<const std::byte> bytes) noexcept {
  return {*this, OperationKind::write_at, {const_cast<std::byte*>(bytes.data()), bytes.size()}, position_, true};
}
inline File::SyncAwaiter File::sync() noexcept { return SyncAwaiter(*this); }

// A whole file. Errors: those of open; Errc::limit_exceeded if it holds more than `size_max` bytes.
[[nodiscard]] Task<Result<std::string>> read_file(std::string_view path,
                                                  std::size_t size_max = std::numeric_limits<std::size_t>::max());

struct WriteFileOptions {
  // Of a new file, cut by the process's mask. A file that is replaced hands its own on.
  std::uint32_t permissions = 0666;
  // Whether the bytes are on the medium before the old file goes.
  bool sync = false;
};
// Replaces a file, or makes it, in one step: whoever opens it sees the old content or the new, also if this fails, is
// cancelled, or the process ends. (A symbolic link is replaced itself.) The directory must be writable.
[[nodiscard]] Task<Result<void>> write_file(std::string_view path, std::span<const std::byte> bytes,
                                            WriteFileOptions options = {});
[[nodiscard]] inline Task<Result<void>> write_file(std::string_view path, std::string_view text,
                                                   WriteFileOptions options = {}) {
  return write_file(path, std::as_bytes(std::span(text)), options);
}

}  // namespace gyre
