// Command lines and environments as Windows passes them to a process: one text each.
//
// Threads: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gyre::sys {

// `arguments` as CommandLineToArgvW() and the C runtime take them apart again, whatever is in them. The line of a shell
// (shell_command()) is passed as it is: cmd.exe has rules of its own.
std::wstring command_line_of(const std::vector<std::string>& arguments);
// "NAME=value" each, sorted as Windows wants it. SystemRoot is added if it is missing: without it a process can load
// neither sockets nor random numbers.
std::wstring environment_block_of(const std::vector<std::string>& environment);

// A batch file: cmd.exe would run it, and take special characters in arguments for its own. They are refused.
bool is_batch_file(std::string_view path) noexcept;

}  // namespace gyre::sys
