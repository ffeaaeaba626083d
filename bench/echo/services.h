// What the servers in C++ do with what they receive: the same in all of them, so that they differ in how they receive and
// send only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace echo {

// `PROGRAM ... http` serves HTTP, and anything else echoes.
inline bool is_http(int argc, char** argv) { return std::string_view(argv[argc - 1]) == "http"; }

struct Answer {
  std::string_view bytes;  // to be sent; those received, or static ones
  bool goes_on = true;     // false: the connection is to be closed then
};

// Sends back what it receives.
struct Echo {
  Answer answer(std::string_view received) noexcept { return {received}; }
};

// HTTP/1.1, as little of it as is right: each GET is answered with "Hello, World!". Requests may come in pieces, or several
// at once (they are answered at once, then). What has a body, or is not GET, ends the connection. (A Date header is left
// out; RFC 9110 wants one of a server with a clock.)
class Http {
 public:
  Answer answer(std::string_view received) {
    if (!unfinished_.empty()) received = unfinished_ += received;
    std::size_t count = 0;
    std::size_t done = 0;
    bool goes_on = true;
    while (goes_on) {
      const std::size_t end = received.find("\r\n\r\n", done);
      if (end == std::string_view::npos) {
        goes_on = received.size() - done <= head_max;
        break;
      }
      const std::string_view head = received.substr(done, end + 2 - done);
      if (!head.starts_with("GET ") || has(head, "\r\ncontent-length:") || has(head, "\r\ntransfer-encoding:")) {
        goes_on = false;
        break;
      }
      ++count;
      done = end + 4;
      const bool is_1_1 = head.substr(0, head.find("\r\n")).ends_with(" HTTP/1.1");
      goes_on = is_1_1 && !has(head, "\r\nconnection: close");
    }
    if (unfinished_.empty()) {
      unfinished_ = received.substr(done);
    } else {
      unfinished_.erase(0, done);
    }
    return {answers(count), goes_on};
  }

 private:
  static constexpr std::size_t head_max = 4096;

  // Whether there is a header that begins so; `what` is in small letters.
  static bool has(std::string_view head, std::string_view what) {
    for (std::size_t at = head.find("\r\n"); at + what.size() <= head.size(); at = head.find("\r\n", at + 2)) {
      const auto same = [](char a, char b) { return a == b || (a >= 'A' && a <= 'Z' && a + ('a' - 'A') == b); };
      if (std::equal(what.begin(), what.end(), head.begin() + static_cast<std::ptrdiff_t>(at), same)) return true;
    }
    return false;
  }

  // So many answers, one after the other.
  static std::string_view answers(std::size_t count) {
    static constexpr std::string_view one =
        "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";
    // The shortest request has 18 bytes.
    static const std::string all = [] {
      std::string text;
      for (std::size_t i = 0; i < (16384 + head_max) / 18; ++i) text += one;
      return text;
    }();
    return std::string_view(all).substr(0, count * one.size());
  }

  std::string unfinished_;
};

}  // namespace echo
