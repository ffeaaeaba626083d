#!/usr/bin/env python3
"""Results of comparisons: the file format, the machine they were made on, and tables of them.

  tools/bench_results.py FILE...      prints the tables of result files

The format, in build/bench/*.peers.json (each suite writes a file of its own; the report takes all of them):

  {"format": 1,
   "suite": "micro",                            # the file's name, and a chapter of the report: "micro", "echo"
   "title": "Tasks, switches, timers",
   "machine": {...}, "date": "2026-11-23",      # machine() and today()
   "method": "one thread, pinned to one CPU; ...",        # how this suite was run, a sentence or two
   "workloads": [
     {"name": "yield, 100 tasks",
      "what": "100 tasks give way to each other; per yield",   # the exact definition
      "unit": "ns", "better": "lower",                         # or "higher"
      "results": [
        {"who": "floor", "kind": "floor", "what": "a bare ring of coroutine handles", "values": [4.9, 5.0]},
        {"who": "gyre", "kind": "gyre", "values": [5.2, 5.1]},
        {"who": "gyre io_uring", "kind": "gyre", "values": [5.3, 5.3]},
        {"who": "tokio", "kind": "peer", "version": "1.24.2", "values": [60.1, 59.7]},
        {"who": "go", "kind": "peer", "skipped": "go is not installed"}]}]}

`values` has one figure for each round, in the unit of the workload. Rounds are interleaved: A B C A B C. Ratios are those
of medians, to the first result of kind "gyre". A suite that measures several things of one run (rate, CPU, latency)
writes a workload for each.
"""
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys


def today():
    return datetime.date.today().isoformat()


def first_line(*command):
    """The first line that a command prints, or None if there is no such command."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if lines else None


def machine():
    model = platform.machine()
    virtual = False
    try:
        for line in open("/proc/cpuinfo"):
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
            if line.startswith("flags"):
                virtual = " hypervisor" in line
    except OSError:
        pass
    return {"cpu": model, "cpus": os.cpu_count(), "virtual": virtual,
            "kernel": platform.system() + " " + platform.release().split("-")[0],
            "compiler": first_line(*os.environ.get("CXX", "g++").split()[-1:], "--version")}


def save(path, suite, title, method, workloads):
    data = {"format": 1, "suite": suite, "title": title, "machine": machine(), "date": today(),
            "method": method, "workloads": workloads}
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w") as file:
        json.dump(data, file, indent=1)
        file.write("\n")
    return data


def load(path):
    with open(path) as file:
        data = json.load(file)
    if data.get("format") != 1:
        sys.exit(f"{path}: not a result file of format 1")
    return data


def figure(value):
    """A figure as people read it: three digits that count."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def rows(workload):
    """(who, kind, median, lowest, highest, ratio to Gyre, remark) of each result: best first, skipped ones last."""
    measured = [r for r in workload["results"] if r.get("values")]
    ours = next((statistics.median(r["values"]) for r in measured if r["kind"] == "gyre"), None)
    table = []
    for result in measured:
        middle = statistics.median(result["values"])
        ratio = middle / ours if ours else None
        who = result["who"] + (" " + result["version"] if result.get("version") else "")
        table.append((who, result["kind"], middle, min(result["values"]), max(result["values"]), ratio,
                      result.get("what", "")))
    table.sort(key=lambda row: row[2], reverse=workload["better"] == "higher")
    for result in workload["results"]:
        if not result.get("values"):
            table.append((result["who"], result["kind"], None, None, None, None,
                          "skipped: " + result.get("skipped", "no reason was given")))
    return table


def print_workload(workload, out=sys.stdout):
    print(f"\n{workload['name']}  ({workload['unit']}, {workload['better']} is better)", file=out)
    print(f"  {workload['what']}", file=out)
    print(f"  {'':28} {'median':>10} {'min':>10} {'max':>10} {'to Gyre':>8}", file=out)
    for who, kind, middle, low, high, ratio, remark in rows(workload):
        mark = {"gyre": "> ", "floor": "_ "}.get(kind, "  ")
        if middle is None:
            print(f"{mark}{who:28} {remark}", file=out)
            continue
        times = f"{ratio:7.2f}x" if ratio is not None else " " * 8
        print(f"{mark}{who:28} {figure(middle):>10} {figure(low):>10} {figure(high):>10} {times}"
              f"{'  ' + remark if remark else ''}", file=out)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for path in sys.argv[1:]:
        data = load(path)
        print(f"== {data['title']}: {data['machine']['cpu']}, {data['machine']['kernel']}, {data['date']}")
        for workload in data["workloads"]:
            print_workload(workload)


if __name__ == "__main__":
    main()
