// Work for the processor, one piece after the other: what the next three programs are measured against.
//
//   fibonacci_one_by_one 40        the book's numbers, 40 and 41
#include "fibonacci.h"

int main(int argc, char** argv) {
  const double took = book::fib_one_after_the_other(book::first_number(argc, argv));
  std::printf("took %.3f s\n", took);
}
