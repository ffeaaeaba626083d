"""What `make bench` has left, as tables of the report: Gyre's benchmarks beside their floors; switches, wakes, fork and join.

Used by tools/bench_report.
"""
import glob
import json
import os
import re

import bench_compare
import bench_results

# Gyre's benchmark, its floor, the aim as a ratio, a remark.
FLOORS = [
    ("BM_Task_Child", "BM_Bare_Child", 1.1, "create, await and destroy a child"),
    ("BM_Task_Resume", "BM_Bare_Resume", None, "resume a task, which suspends again"),
    ("BM_Task_Chain/depth:10", "BM_Bare_Chain/depth:10", None, "each child awaits the next, 10 deep"),
    ("BM_Task_Chain/depth:1000", "BM_Bare_Chain/depth:1000", None, "1,000 deep"),
    ("BM_Task_Yield/tasks:1", "BM_Bare_Yield/tasks:1", 1.2, "yield, 1 task"),
    ("BM_Task_Yield/tasks:100", "BM_Bare_Yield/tasks:100", 1.2, "yield, 100 tasks"),
    ("BM_Task_Yield/tasks:10000", "BM_Bare_Yield/tasks:10000", 1.2, "yield, 10,000 tasks"),
    ("BM_Semaphore_PingPong", "BM_Bare_HandOver", 1.5, "two tasks wake each other by permits"),
    ("BM_Channel_PingPong/capacity:1", "BM_Bare_PingPong", 1.5, "ping-pong by channels of capacity 1"),
    ("BM_Channel_PingPong/capacity:0", "BM_Bare_PingPong", 1.5, "ping-pong by rendezvous"),
    ("BM_Task_SpawnJoin", "BM_Bare_Spawn", 2.5, "spawn, then join by handle; the floor has no parent that waits"),
    ("BM_Task_SpawnMany/tasks:1000", "BM_Bare_SpawnMany/tasks:1000", 2.5, "spawn 1,000, then join the group"),
    ("BM_Mutex_Uncontended", "BM_Bare_Flag", None, "lock and unlock"),
    ("BM_TimerQueue_ArmCancel/pending:1000", "BM_BareWheel_ArmCancel/pending:1000", 1.4, "arm and cancel among 1,000 timers"),
    ("BM_TimerQueue_ArmCancel/pending:1000000", "BM_BareWheel_ArmCancel/pending:1000000", 1.4, "among a million"),
    ("BM_TimerQueue_Fire/pending:1000000/turn_us:100/iterations:30/manual_time",
     "BM_BareWheel_Fire/pending:1000000/turn_us:100/iterations:30/manual_time", 1.2, "a million timers fire, 100 µs a turn"),
]

# Case, what it is, unit, and who: name, kind, benchmark.
CASES = [
    ("switch", "from one thing to another; a round trip counts two", "ns", [
        ("bare coroutine", "floor", "BM_Switch_Coroutine"),
        ("gyre, yield between tasks", "gyre", "BM_Switch_TaskYield"),
        ("fiber (Boost.Context)", "peer", "BM_Switch_BoostFiber"),
        ("ucontext (swapcontext)", "peer", "BM_Switch_Swapcontext"),
        ("thread, by a futex", "peer", "BM_Switch_ThreadByFutex/real_time"),
        ("thread, by a condition variable", "peer", "BM_Switch_ThreadByConditionVariable/real_time"),
        ("thread, by a pipe", "peer", "BM_Switch_ThreadByPipe/real_time"),
        ("process, by a pipe", "peer", "BM_Switch_ProcessByPipe/real_time")]),
    ("post between two loops", "two threads that sleep in their pollers post a call to each other by turns; per round trip", "ns", [
        ("gyre, post()", "gyre", "BM_Post_PingPong/real_time"),
        ("bare eventfd and epoll", "floor", "BM_RawEventfd_PingPong/real_time"),
        ("bare futex, without a loop", "floor", "BM_RawFutex_PingPong/real_time")]),
    ("fork and join, 1 thread", "a Fibonacci number by recursion, a task for each call, without a cut-off; per task", "ns", [
        ("gyre, fork and join", "gyre", "BM_Fibonacci_Work/threads:1/real_time"),
        ("oneTBB", "peer", "BM_Fibonacci_Tbb/threads:1/real_time"),
        ("OpenMP tasks (libgomp)", "peer", "BM_Fibonacci_OpenMp/threads:1/real_time")]),
    ("fork and join, 2 threads", "the same on two threads", "ns", [
        ("gyre, fork and join", "gyre", "BM_Fibonacci_Work/threads:2/real_time"),
        ("oneTBB", "peer", "BM_Fibonacci_Tbb/threads:2/real_time"),
        ("OpenMP tasks (libgomp)", "peer", "BM_Fibonacci_OpenMp/threads:2/real_time")]),
]
NS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
METHOD = ("From `make bench` (`bench/*_bench.cc`), one program after the other. A run counts once; with BENCH=full, the median "
          "of five.")


def workloads(results):
    """One for each of FLOORS that was measured."""
    found = bench_compare.read(results)
    made = []
    for name, floor, aim, remark in FLOORS:
        if name in found and floor in found:
            sides = [{"who": who, "kind": kind, "values": [found[each][0] * NS[found[each][2]]]}
                     for who, kind, each in (("gyre", "gyre", name), ("floor", "floor", floor))]
            made.append({"name": name.split("/iterations")[0].removesuffix("/real_time"), "what": remark, "aim": aim, "unit": "ns",
                         "better": "lower", "results": sides})
    return made


def table(made, when):
    if not made:
        return ["Not measured: run `make bench`.", ""]
    lines = [f"CPU nanoseconds per operation. {METHOD} {when} The aims are those that Gyre set itself.", "",
             "| benchmark | | Gyre | floor | ratio | aim |", "| --- | --- | ---: | ---: | ---: | --- |"]
    for workload in made:
        ours, bare = (result["values"][0] for result in workload["results"])
        wanted = "" if workload["aim"] is None else f"≤ {workload['aim']}×" + (" met" if ours / bare <= workload["aim"] else "")
        lines.append(f"| `{workload['name']}` | {workload['what']} | {bench_results.figure(ours)} | {bench_results.figure(bare)} "
                     f"| {ours / bare:.2f}× | {wanted} |")
    return lines + [""]


def opened(results):
    for path in sorted(glob.glob(os.path.join(results, "*_bench.json"))):
        with open(path) as file:
            yield json.load(file)


def context(results):
    all_of_them = [data["context"] for data in opened(results)]
    if not all_of_them:
        return ""
    revisions = sorted({each.get("revision", "unknown") for each in all_of_them})
    load = max(each.get("load_avg", [0])[0] for each in all_of_them)
    busy = f" Other programs were running: the load was up to {load:.1f}." if load > 2.5 else ""
    return f"Measured {max(each['date'] for each in all_of_them)[:10]}, revision {', '.join(revisions)}.{busy}"


def per_item(results):
    """name -> [nanoseconds for each item, or for each run of what counts none]"""
    found = {}
    for data in opened(results):
        for each in data["benchmarks"]:
            if each.get("error_occurred") or each.get("run_type") == "aggregate" and each["aggregate_name"] != "median":
                continue
            clock = "real_time" if "_time" in each["run_name"] else "cpu_time"
            time = 1e9 / each["items_per_second"] if each.get("items_per_second") else each[clock] * NS[each["time_unit"]]
            found.setdefault(each["run_name"], []).append(time)
    return found


def switches(results):
    """The chapter, as if it were a suite of peers; None if nothing of it was measured."""
    found = per_item(results)
    made = []
    for case, what, unit, sides in CASES:
        entries = [{"who": who, "kind": kind, "values": [each / NS[unit] for each in found[name]]} if name in found
                   else {"who": who, "kind": kind, "skipped": "not built"} for who, kind, name in sides]
        if any(entry.get("values") for entry in entries):
            made.append({"name": case, "what": what, "unit": unit, "better": "lower", "results": entries})
    if not made:
        return None
    remark = re.sub("^Measured [^.]*\\.", "", context(results)).strip()
    one, two = (found.get(f"BM_Fibonacci_Work/threads:{count}/real_time") for count in (1, 2))
    if one and two:
        remark += f" Two threads do Gyre's forks and joins {min(one) / min(two):.2f} times as fast as one."
    all_of_them = [data["context"] for data in opened(results)]
    return {"suite": "switch", "title": "Switches, wakes, fork and join", "machine": bench_results.machine(),
            "date": max(each["date"] for each in all_of_them)[:10], "revision": all_of_them[0].get("revision"),
            "method": f"{METHOD} {remark}", "workloads": made}
