// What `make run` shows, in order.
#pragma once

#include <cstdint>
#include <string>

#include <gyre/platform/result.h>
#include <gyre/task/task.h>

namespace tour {

// 100 pages that take a second each, fetched at once by one thread from a local web server.
gyre::Task<gyre::Result<void>> fetch_pages();

// What a switch costs: between coroutines, contexts, threads, processes.
void show_switches();

// Whether somebody looks at a terminal; else every line is printed once and stays.
bool is_terminal();

// `share` of `width` characters, as a bar.
std::string bar(double share, int width);

}  // namespace tour
