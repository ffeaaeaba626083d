// A request for a page and what a server answers to it, as bytes that can be compared.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "load.h"

namespace load {

inline constexpr std::string_view page_request = "GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n";

// Asks once, and returns the answer. The seconds of a Date header differ from one to the next: `mask` has a 0 for each byte
// of it, and 0xff elsewhere.
inline std::string ask_for_page(int port, std::string& mask) {
  const int fd = connect_to(port);
  if (::send(fd, page_request.data(), page_request.size(), MSG_NOSIGNAL) < 0) fail("send");
  std::string answer;
  for (std::size_t wanted = std::string::npos; answer.size() < wanted || wanted == std::string::npos;) {
    char part[4096];
    const ssize_t count = ::recv(fd, part, sizeof(part), 0);
    if (count <= 0) fail("the server does not answer a request for a page");
    answer.append(part, static_cast<std::size_t>(count));
    const std::size_t head = answer.find("\r\n\r\n");
    if (head == std::string::npos) continue;
    const std::size_t length = answer.find("ontent-Length: ");
    if (length > head) fail("an answer without Content-Length");
    wanted = head + 4 + static_cast<std::size_t>(std::atoi(answer.c_str() + length + 15));
    if (answer.size() > wanted) fail("an answer is too long");
  }
  ::close(fd);
  if (!answer.starts_with("HTTP/1.1 200 ")) fail("the answer is not 200");
  if (!answer.ends_with("\r\n\r\nHello, World!")) fail("the page is not \"Hello, World!\"");
  mask.assign(answer.size(), '\xff');
  const std::size_t date = answer.find("\r\nDate: ");
  if (date != std::string::npos) {
    for (std::size_t i = date + 2; answer[i] != '\r'; ++i) mask[i] = 0;
  }
  return answer;
}

inline std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

}  // namespace load
