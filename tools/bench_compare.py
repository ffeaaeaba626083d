#!/usr/bin/env python3
"""What a change did: two JSON files of Google Benchmark side by side.

  tools/bench_compare.py OLD NEW [WORD]...       WORD: only benchmarks with it in their name

OLD and NEW are files, or directories of them (build/bench as `make bench` leaves it: keep a copy before the change).
Times are CPU times (or those that the benchmark itself takes), of several repetitions the median. A difference below 5 %, or below the spread of the repetitions,
is shown as ~. Exits with 1 if something has become more than 10 % slower.
"""
import json
import os
import statistics
import sys


def read(path):
    """name -> (median, spread as a share of it, unit)"""
    files = [path]
    if os.path.isdir(path):
        files = [os.path.join(path, name) for name in sorted(os.listdir(path)) if name.endswith("_bench.json")]
    times, found = {}, {}
    for file in files:
        with open(file) as opened:
            for each in json.load(opened)["benchmarks"]:
                if each.get("error_occurred"):
                    continue
                name = each.get("run_name", each["name"])
                # What the benchmark itself calls its time.
                clock = "real_time" if name.endswith(("/real_time", "/manual_time")) else "cpu_time"
                if each.get("run_type") == "aggregate":
                    median, spread, _ = found.get(name, (None, 0.0, ""))
                    if each["aggregate_name"] == "median":
                        median = each[clock]
                    if each["aggregate_name"] == "cv":
                        spread = each[clock]
                    found[name] = (median, spread, each.get("time_unit", "ns"))
                else:
                    times.setdefault((name, each.get("time_unit", "ns")), []).append(each[clock])
    for (name, unit), values in times.items():
        if found.get(name, (None,))[0] is None:
            median = statistics.median(values)
            spread = statistics.pstdev(values) / median if len(values) > 1 and median else 0.0
            found[name] = (median, spread, unit)
    return {name: row for name, row in found.items() if row[0] is not None}


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    old, new, words = read(sys.argv[1]), read(sys.argv[2]), sys.argv[3:]
    names = [name for name in old if name in new and (not words or any(word in name for word in words))]
    if not names:
        sys.exit("the two have no benchmark in common")
    width = max(len(name) for name in names)
    worse = 0
    print(f"{'':{width}} {'old':>12} {'new':>12}    new/old")
    for name in names:
        (before, spread_before, unit), (after, spread_after, unit_after) = old[name], new[name]
        if unit != unit_after or not before:
            continue
        ratio = after / before
        noise = max(0.05, 2 * spread_before, 2 * spread_after)
        verdict = "~" if abs(ratio - 1) < noise else ("slower" if ratio > 1 else "faster")
        worse += verdict == "slower" and ratio > 1.10
        print(f"{name:{width}} {before:12.2f} {after:12.2f} {unit} {ratio:6.2f}x {verdict}")
    for name in sorted(set(old) ^ set(new)):
        if not words or any(word in name for word in words):
            print(f"{name:{width}} only in {'OLD' if name in old else 'NEW'}")
    sys.exit(1 if worse else 0)


if __name__ == "__main__":
    main()
