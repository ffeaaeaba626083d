// What a program asks of a file system beside reading and writing, without an operating system's header.
//
// Everything here finishes at once, as far as a file system does: a network's may take its time.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <string_view>

#include <gyre/platform/result.h>
#include <gyre/platform/unique_fd.h>

namespace gyre {

enum class FileType : std::uint8_t { regular, directory, pipe, socket, character_device, block_device, other };

struct FileStatus {
  FileType type = FileType::other;
  std::uint32_t permissions = 0;  // POSIX mode bits, the type's left out
  std::uint64_t size = 0;
  // Which file it is, whatever its names.
  std::uint64_t device = 0;
  std::uint64_t number = 0;
};

// Errors: no_such_file_or_directory, permission_denied, not_a_directory, filename_too_long.
Result<FileStatus> file_status(const char* path) noexcept;
Result<FileStatus> file_status(NativeDescriptor file) noexcept;
Result<void> set_permissions(NativeDescriptor file, std::uint32_t permissions) noexcept;
// Cuts a file, or lengthens it by zeros. Errors: file_too_large, no_space_on_device, invalid_argument (not a file).
Result<void> resize_file(NativeDescriptor file, std::uint64_t size) noexcept;
// Whether it was opened for that.
bool is_readable_file(NativeDescriptor file) noexcept;
bool is_writable_file(NativeDescriptor file) noexcept;

// Replaces what `to` names, in one step. Errors: those of file_status; is_a_directory, cross_device_link.
Result<void> rename_file(const char* from, const char* to) noexcept;
// Errors: those of file_status; is_a_directory.
Result<void> remove_file(const char* path) noexcept;

// What stands before the last name, with its separator; empty if that is all.
std::string_view directory_part(std::string_view path) noexcept;

}  // namespace gyre
