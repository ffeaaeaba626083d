// Who runs here: the process, its threads, the calling thread.
#pragma once

#include <cstddef>
#include <sstream>
#include <string>
#include <thread>

#include <gyre/platform/this_process.h>

namespace book {

inline long process_id() { return static_cast<long>(gyre::process_id()); }
inline long parent_id() { return static_cast<long>(gyre::parent_process_id()); }
using gyre::count_threads;
using gyre::thread_name;

inline std::string thread_id() {
  std::ostringstream text;
  text << std::this_thread::get_id();
  return text.str();
}

}  // namespace book
