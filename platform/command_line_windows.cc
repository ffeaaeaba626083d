#include <gyre/platform/command_line_windows.h>

#include <windows.h>

#include <algorithm>

#include <gyre/platform/text_windows.h>

namespace gyre::sys {
namespace {

// A quote is preceded by a backslash, and backslashes count only before a quote, where they are doubled.
void append_quoted(std::string& line, std::string_view argument) {
  if (!line.empty()) line += ' ';
  if (!argument.empty() && argument.find_first_of(" \t\n\v\"") == argument.npos) {
    line += argument;
    return;
  }
  line += '"';
  std::size_t backslashes = 0;
  for (const char c : argument) {
    if (c == '"') line.append(backslashes + 1, '\\');
    backslashes = c == '\\' ? backslashes + 1 : 0;
    line += c;
  }
  line.append(backslashes, '\\');
  line += '"';
}

bool is_shell_line(const std::vector<std::string>& arguments) noexcept {
  return arguments.size() == 5 && arguments[0].ends_with("cmd.exe") && arguments[1] == "/d" && arguments[2] == "/s" &&
         arguments[3] == "/c";
}

bool has_name(std::wstring_view entry, std::wstring_view name) noexcept {
  return entry.size() > name.size() && entry[name.size()] == L'=' &&
         ::CompareStringOrdinal(entry.data(), static_cast<int>(name.size()), name.data(),
                                static_cast<int>(name.size()), TRUE) == CSTR_EQUAL;
}

int compare_names(const std::wstring& a, const std::wstring& b) noexcept {
  const auto size = [](const std::wstring& entry) { return static_cast<int>(std::min(entry.find(L'='), entry.size())); };
  return ::CompareStringOrdinal(a.data(), size(a), b.data(), size(b), TRUE) - CSTR_EQUAL;
}

}  // namespace

std::wstring command_line_of(const std::vector<std::string>& arguments) {
  const bool is_line = is_shell_line(arguments);
  std::string line;
  for (std::size_t i = 0; i < arguments.size() - (is_line ? 1 : 0); ++i) append_quoted(line, arguments[i]);
  // With /s the first and the last quote go, and all that is between them stays as it is.
  if (is_line) line += " \"" + arguments.back() + '"';
  return to_wide(line);
}

std::wstring environment_block_of(const std::vector<std::string>& environment) {
  std::vector<std::wstring> entries;
  for (const std::string& entry : environment) entries.push_back(to_wide(entry));
  constexpr std::wstring_view root = L"SystemRoot";
  if (std::none_of(entries.begin(), entries.end(), [&](const std::wstring& entry) { return has_name(entry, root); })) {
    wchar_t folder[MAX_PATH] = {};
    const DWORD size = ::GetEnvironmentVariableW(root.data(), folder, MAX_PATH);
    if (size > 0 && size < MAX_PATH) entries.push_back(std::wstring(root) + L'=' + folder);
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const std::wstring& a, const std::wstring& b) { return compare_names(a, b) < 0; });
  std::wstring block;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    // "Path" and "PATH" are one variable: the last counts.
    if (i + 1 < entries.size() && compare_names(entries[i], entries[i + 1]) == 0) continue;
    block.append(entries[i]).push_back(L'\0');
  }
  if (entries.empty()) block.push_back(L'\0');
  block.push_back(L'\0');
  return block;
}

bool is_batch_file(std::string_view path) noexcept {
  // Trailing dots and spaces are no part of a name.
  while (path.ends_with('.') || path.ends_with(' ')) path.remove_suffix(1);
  if (path.size() < 4) return false;
  const std::string_view end = path.substr(path.size() - 4);
  const auto is = [&](std::string_view suffix) {
    return std::equal(end.begin(), end.end(), suffix.begin(),
                      [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
  };
  return is(".bat") || is(".cmd");
}

}  // namespace gyre::sys
