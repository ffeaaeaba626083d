// A program of somebody who has installed Gyre, in every way that tools/install_test knows.
#include <cstdio>
#include <string>

#include <gyre/platform/error.h>
#include <gyre/platform/result.h>

namespace {

gyre::Result<int> parse_digit(char c) {
  if (c < '0' || c > '9') return gyre::Errc::malformed;
  return c - '0';
}

}  // namespace

int main() {
  const gyre::Result<int> seven = parse_digit('7');
  const gyre::Result<int> none = parse_digit('x');
  if (!seven || *seven != 7 || none || none.error() != gyre::Errc::malformed) return 1;
  std::printf("gyre says: %s\n", none.error().to_string().c_str());
  return 0;
}
