#!/usr/bin/env python3
"""Results of comparisons: the file format, the machine they were made on, and tables of them.

  tools/bench_results.py FILE...      prints the tables of result files

The format, in build/bench/*.peers.json (each suite writes a file of its own; the report takes all of them):

  {"format": 1,
   "suite": "micro",                            # the file's name, and a chapter of the report: "micro", "echo"
   "title": "Tasks, switches, timers",
   "machine": {...}, "date": "2026-11-23",      # machine() and today()
   "revision": "0123abcdef",                    # of Gyre; with a + if files were changed since
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

Workloads that are several metrics of the same runs (CPU, rate, latency) have "case" and "metric", and are shown as one table
in the order of the first. A result of Gyre's may name the "floor" that it stands on.

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


class Quiet:
    """How quiet the machine was from now on."""

    def __init__(self):
        self.stolen, self.all = self.ticks()

    @staticmethod
    def ticks():
        """Those that the host took from this machine, and all."""
        with open("/proc/stat") as file:
            fields = [int(field) for field in file.readline().split()[1:9]]
        return fields[7], sum(fields)

    def remark(self, programs=1):
        """Sentences for a method; `programs` of ours run at a time."""
        stolen, all_ticks = self.ticks()
        share = 100 * (stolen - self.stolen) / max(1, all_ticks - self.all)
        text = f"The host took {share:.1f} % of the machine's time meanwhile."
        load = os.getloadavg()[1]
        if load > programs + 0.5:
            text += f" Other programs were running: the load was {load:.1f}. Trust no difference below a factor of 2."
        return text


def revision():
    """What was measured: the commit, and a + if files were changed since."""
    here = os.path.dirname(os.path.abspath(__file__))
    commit = first_line("git", "-C", here, "rev-parse", "--short=10", "HEAD")
    if not commit or not all(letter in "0123456789abcdef" for letter in commit):
        return None
    changed = first_line("git", "-C", here, "status", "--porcelain", "--untracked-files=no", "..")
    return commit + ("+" if changed else "")


def save(path, suite, title, method, workloads):
    data = {"format": 1, "suite": suite, "title": title, "machine": machine(), "date": today(),
            "revision": revision(), "method": method, "workloads": workloads}
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


def grid(case):
    """Of workloads that are metrics of one case, [(who, kind, remark, [median or None for each metric])], in the order of the
    first metric, and [(who, why it was skipped)]."""
    order = rows(case[0])
    medians = [{row[0]: row[2] for row in rows(workload)} for workload in case]
    measured = [(who, kind, remark, [of.get(who) for of in medians])
                for who, kind, middle, _, _, _, remark in order if middle is not None]
    return measured, [(who, remark.removeprefix("skipped: ")) for who, _, middle, _, _, _, remark in order if middle is None]


def print_case(case, out=sys.stdout):
    measured, skipped = grid(case)
    print(f"\n{case[0]['case']}: {case[0]['what']}", file=out)
    print(f"  {'':28}" + "".join(f" {w['metric'] + ', ' + w['unit']:>16}" for w in case), file=out)
    for who, kind, remark, medians in measured:
        mark = {"gyre": "> ", "floor": "_ "}.get(kind, "  ")
        cells = "".join(f" {figure(each) if each is not None else '-':>16}" for each in medians)
        print(f"{mark}{who:28}{cells}{'  ' + remark if remark else ''}", file=out)
    for who, why in skipped:
        print(f"  {who:28} skipped: {why}", file=out)


CALLS_LEAST = 0.05  # a request; what is rarer is left out


def calls_line(calls):
    """System calls of a request in a line: the frequent ones first, and those in vain in brackets."""
    parts = [f"{name} {each:.2f}" + (f" ({failed:.2f} in vain)" if failed >= CALLS_LEAST else "")
             for name, (each, failed) in sorted(calls.items(), key=lambda item: -item[1][0])]
    return ", ".join(parts) or f"fewer than {CALLS_LEAST}"


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for path in sys.argv[1:]:
        data = load(path)
        print(f"== {data['title']}: {data['machine']['cpu']}, {data['machine']['kernel']}, {data['date']}")
        cases = {}
        for workload in data["workloads"]:
            cases.setdefault(workload.get("case", workload["name"]), []).append(workload)
        for case in cases.values():
            print_case(case) if "case" in case[0] else print_workload(case[0])


if __name__ == "__main__":
    main()
