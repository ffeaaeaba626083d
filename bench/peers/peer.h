// What every peer written in C++ shares: which workload to run, and for how long.
//
// A peer is a program. Without arguments it prints the names of its workloads, one a line, and its version as `version X`;
// with the name of one it prints nanoseconds per operation. (tools/bench_peers has the definitions.)
#pragma once

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <initializer_list>

namespace peer {

// Runs `count` operations, set-up and all. Returns the nanoseconds they took.
using Run = double (*)(long count);

struct Workload {
  const char* name;
  Run run;
  long count_min = 1000;  // operations of the shortest run; also the step: counts are multiples of it
};

class Stopwatch {
 public:
  double ns() const {
    return static_cast<double>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - begin_).count());
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// The time that this process has kept a processor busy.
inline double cpu_ns() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e9 +
         static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e3;
}

// Longer and longer runs until one takes 60 ms; the last one counts, so that the first ones warm up.
inline double measure(const Workload& workload) {
  for (long count = workload.count_min;; count *= 4) {
    const Stopwatch total;
    const double spent = workload.run(count);
    if (total.ns() >= 60e6) return spent / static_cast<double>(count);
  }
}

inline int main(int argc, char** argv, const char* version, std::initializer_list<Workload> workloads) {
  if (argc < 2) {
    std::printf("version %s\n", version);
    for (const Workload& workload : workloads) std::printf("%s\n", workload.name);
    return 0;
  }
  for (const Workload& workload : workloads) {
    if (std::strcmp(workload.name, argv[1]) != 0) continue;
    std::printf("%.3f\n", measure(workload));
    return 0;
  }
  std::fprintf(stderr, "no workload %s\n", argv[1]);
  return 2;
}

}  // namespace peer
