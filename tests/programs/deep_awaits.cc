#include <cstdio>

#include "../support/deep_awaits.h"

int main() {
  const gyre::test::Awaited awaited = gyre::test::await_on_small_stack();
  std::printf("%ld ready children, %ld in chains of ten, %ld deep, %ld deep with a wait\n", awaited.children,
              awaited.chained, awaited.depth, awaited.depth_with_wait);
  return awaited.is_right() ? 0 : 1;
}
