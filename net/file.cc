#include <gyre/net/file.h>

#include <algorithm>
#include <utility>

#include <gyre/net/stream_concepts.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/cancel_scope.h>

namespace gyre {

namespace {

Error system_error(std::errc code, OperationKind operation) noexcept {
  return Error::system(static_cast<std::int32_t>(code), operation);
}

bool has(OpenFlags flags, OpenFlags flag) noexcept {
  return (static_cast<std::uint32_t>(flags) & static_cast<std::uint32_t>(flag)) != 0;
}

}  // namespace

Task<Result<File>> File::open(std::string_view path, OpenFlags flags, std::uint32_t permissions) {
  if (path.find('\0') != path.npos) {
    co_return system_error(std::errc::invalid_argument, OperationKind::open_file).at(Place::text(path));
  }
  const std::string terminated(path);
  if (has(flags, OpenFlags::append)) flags = flags | OpenFlags::write;
  Operation operation;
  operation.kind = OperationKind::open_file;
  operation.path = terminated.c_str();
  operation.size = static_cast<std::size_t>(flags);
  operation.offset = permissions;
  const Result<std::size_t> opened = co_await OperationAwaiter(operation);
  if (!opened) co_return opened.error().at(Place::text(path));
  co_return adopt(UniqueFd(static_cast<NativeDescriptor>(*opened)), path);
}

Result<File> File::adopt(UniqueFd file, std::string_view path) {
  GYRE_CHECK_HINT(static_cast<bool>(file), "adopt() needs an open descriptor");
  const Place place = Place::text(path);
  const Result<FileStatus> status = file_status(file.get());
  if (!status) return status.error().at(place);
  if (status->type == FileType::directory) {
    return system_error(std::errc::is_a_directory, OperationKind::open_file).at(place);
  }
  if (status->type == FileType::pipe || status->type == FileType::socket) {
    return system_error(std::errc::invalid_seek, OperationKind::open_file).at(place);
  }
  File taken;
  const Result<void> attached = taken.attach(std::move(file), DescriptorKind::file);
  if (!attached) return attached.error().at(place);
  taken.place_ = place;
  return taken;
}

File::TransferAwaiter::TransferAwaiter(File& file, OperationKind kind, std::span<std::byte> buffer,
                                       std::uint64_t offset, bool moves) noexcept
    : FileAwaiter(kind, file.slot_if_open()), file_(file), moves_(moves) {
  constexpr auto offset_max = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  GYRE_CHECK_HINT(!buffer.empty(), "a transfer of nothing could not tell the end of the file");
  GYRE_CHECK_HINT(offset <= offset_max, "no file is that long");
  GYRE_DCHECK(!file.is_open() || (kind == OperationKind::read_at ? is_readable_file(file.native())
                                                                 : is_writable_file(file.native())));
  operation_.buffer = buffer.data();
  operation_.size = buffer.size();
  operation_.offset = static_cast<std::int64_t>(offset);
}

Result<std::uint64_t> File::size() const noexcept {
  const Result<FileStatus> status = file_status(native());
  if (!status) return status.error().at(place_);
  return status->size;
}

Result<void> File::resize(std::uint64_t size) noexcept {
  const Result<void> resized = resize_file(native(), size);
  if (!resized) return resized.error().at(place_);
  return {};
}

// --- Whole files -----------------------------------------------------------------------------------------------------

Task<Result<std::string>> read_file(std::string_view path, std::size_t size_max) {
  Result<File> file = co_await File::open(path);
  if (!file) co_return file.error();
  const Result<std::uint64_t> size = file->size();
  if (!size) co_return size.error();
  // What has no size (in /proc, say) is read all the same. One byte more shows the end without another step.
  constexpr std::size_t step_min = 4096;
  std::string content;
  std::size_t filled = 0;
  const std::uint64_t expected = std::min<std::uint64_t>(*size, size_max);
  content.resize(std::max<std::size_t>(static_cast<std::size_t>(expected) + 1, step_min));
  for (;;) {
    if (filled == content.size()) content.resize(2 * filled);
    const auto room = std::as_writable_bytes(std::span(content)).subspan(filled);
    const Result<std::size_t> count = co_await file->read(room);
    if (!count) co_return count.error();
    if (*count == 0) break;
    filled += *count;
    if (filled > size_max) co_return Error(Errc::limit_exceeded, OperationKind::read_at).at(file->place());
  }
  content.resize(filled);
  co_return content;
}

namespace {

// A file beside the one that is to be replaced; it goes unless it is renamed.
struct Draft {
  std::string path;
  File file;

  Draft() = default;
  Draft(Draft&&) = delete;
  ~Draft() {
    if (file.is_open()) static_cast<void>(remove_file(path.c_str()));
  }
};

Task<Result<void>> open_draft(Draft& draft, std::string_view path, std::uint32_t permissions) {
  // The old ones of processes that have died may lie about.
  constexpr int names_max = 1000;
  const std::string_view directory = directory_part(path);
  for (int i = 0; i < names_max; ++i) {
    draft.path = std::string(directory) + ".gyre-draft-" + std::to_string(i);
    Result<File> file = co_await File::open(
        draft.path, OpenFlags::write | OpenFlags::create | OpenFlags::exclusive, permissions);
    if (file) {
      draft.file = std::move(*file);
      co_return Result<void>{};
    }
    if (file.error() != std::errc::file_exists) co_return file.error().at(Place::text(path));
  }
  co_return system_error(std::errc::file_exists, OperationKind::open_file).at(Place::text(draft.path));
}

}  // namespace

Task<Result<void>> write_file(std::string_view path, std::span<const std::byte> bytes, WriteFileOptions options) {
  const Place place = Place::text(path);
  if (path.find('\0') != path.npos) co_return system_error(std::errc::invalid_argument, OperationKind::open_file).at(place);
  const std::string terminated(path);
  const Result<FileStatus> old = file_status(terminated.c_str());
  const bool replaces = old.has_value() && old->type == FileType::regular;
  if (old && !replaces) {
    // A rename would put a file in the place of a device.
    const bool is_directory = old->type == FileType::directory;
    co_return system_error(is_directory ? std::errc::is_a_directory : std::errc::invalid_argument,
                           OperationKind::open_file).at(place);
  }
  if (!old && old.error() != std::errc::no_such_file_or_directory) co_return old.error();

  Draft draft;
  const Result<void> opened = co_await open_draft(draft, path, replaces ? old->permissions : options.permissions);
  if (!opened) co_return opened.error();
  if (replaces) {
    const Result<void> permitted = set_permissions(draft.file.native(), old->permissions);
    if (!permitted) co_return permitted.error().at(place);
  }
  const Result<void> written = co_await write_all(draft.file, bytes);
  if (!written) co_return written.error().at(place);
  if (options.sync) {
    const Result<void> synchronised = co_await draft.file.sync();
    if (!synchronised) co_return synchronised.error().at(place);
  }
  const Result<void> renamed = rename_file(draft.path.c_str(), terminated.c_str());
  if (!renamed) co_return renamed.error();
  draft.file = File();
  co_return Result<void>{};
}

}  // namespace gyre
