// The book's CPU-bound work: a Fibonacci number by its definition, counted from 1 as there (0, 1, 1, 2, ...).
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "measure.h"

namespace book {

using Number = unsigned long long;

inline Number fib(unsigned n) { return n <= 2 ? n - 1 : fib(n - 1) + fib(n - 2); }

// Any thread, any process.
inline Number print_fib(unsigned n) {
  const Number value = fib(n);
  std::printf("fib(%u) is %llu\n", n, value);
  std::fflush(stdout);
  return value;
}

// What print_fib() must have found.
inline bool is_fib(unsigned n, Number value) {
  Number next = 1;
  for (Number here = 0;; --n) {
    if (n == 1) return here == value;
    const Number sum = here + next;
    here = next;
    next = sum;
  }
}

// The first of the two numbers: the book's is 40; without an argument one that takes a moment.
inline unsigned first_number(int argc, char** argv) {
  const int n = argc > 1 ? std::atoi(argv[1]) : 32;
  return n > 0 && n < 90 ? static_cast<unsigned>(n) : 32;
}

// Both numbers one after the other; seconds. Ends the program if they are wrong.
inline double fib_one_after_the_other(unsigned n) {
  const gyre::Instant begin = now();
  const bool is_right = is_fib(n, print_fib(n)) && is_fib(n + 1, print_fib(n + 1));
  const double took = seconds_since(begin);
  if (!is_right) std::exit(1);
  return took;
}

}  // namespace book
