// Which task computed and which waited, when; drawn as an SVG picture.
#pragma once

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "measure.h"

namespace book {

struct Part {
  int lane;
  bool computes;  // else it waits
  gyre::Instant begin;
  gyre::Instant end;
};

struct Timeline {
  const char* title;
  gyre::Instant begin = now();
  std::vector<Part> parts = {};

  gyre::Duration length() const {
    gyre::Instant last = begin;
    for (const Part& part : parts) last = std::max(last, part.end);
    return last - begin;
  }

  // For how long two parts that compute went on at the same time.
  gyre::Duration together() const {
    gyre::Duration sum{};
    for (const Part& a : parts) {
      for (const Part& b : parts) {
        if (!a.computes || !b.computes || a.lane >= b.lane) continue;
        const gyre::Duration both = std::min(a.end, b.end) - std::max(a.begin, b.begin);
        if (both > gyre::Duration::zero()) sum += both;
      }
    }
    return sum;
  }

  // All wait at one time, and never do two compute at once.
  bool waits_overlap() const {
    for (const Part& a : parts) {
      for (const Part& b : parts) {
        if (!a.computes && !b.computes && a.begin >= b.end) return false;
        if (&a != &b && a.computes && b.computes && a.begin < b.end && b.begin < a.end) return false;
      }
    }
    return !parts.empty();
  }
};

// In one picture, below each other and on one scale: 2 pixels a millisecond.
inline std::string draw(const std::vector<Timeline>& timelines, int lanes) {
  constexpr double scale = 2000;
  constexpr int left = 70, lane_height = 30;
  double width = 0;
  for (const Timeline& timeline : timelines) width = std::max(width, seconds(timeline.length()) * scale);
  const int block = lanes * lane_height + 60;
  std::string svg;
  char line[400];
  const auto add = [&](const char* format, auto... values) {
    std::snprintf(line, sizeof line, format, values...);
    svg += line;
  };
  svg += "<svg xmlns=\"http://www.w3.org/2000/svg\" font-family=\"sans-serif\" font-size=\"13\" ";
  add("width=\"%.0f\" height=\"%zu\">\n", width + left + 40, timelines.size() * static_cast<std::size_t>(block) + 30);
  svg += "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  int top = 10;
  for (const Timeline& timeline : timelines) {
    add("<text x=\"10\" y=\"%d\">%s: %.0f ms</text>\n", top + 15, timeline.title, seconds(timeline.length()) * 1e3);
    for (int lane = 0; lane < lanes; ++lane) {
      add("<text x=\"10\" y=\"%d\">task %d</text>\n", top + lane * lane_height + 45, lane + 1);
    }
    for (const Part& part : timeline.parts) {
      add("<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"22\" fill=\"%s\" stroke=\"#333\"/>\n",
          left + seconds(part.begin - timeline.begin) * scale, top + part.lane * lane_height + 29,
          seconds(part.end - part.begin) * scale, part.computes ? "#d95f02" : "#c6dbef");
    }
    top += block;
  }
  add("<text x=\"10\" y=\"%d\"><tspan fill=\"#d95f02\">&#9632;</tspan> computes ", top + 10);
  svg += "<tspan fill=\"#9ecae1\">&#9632;</tspan> waits</text>\n</svg>\n";
  return svg;
}

}  // namespace book
