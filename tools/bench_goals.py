"""The goals that Gyre set itself beside other runtimes, and whether the figures meet them. Used by tools/bench_report."""
import statistics

import bench_verdict

# What, suite, workload, Gyre's result (None: its first), other, and how many times as much as the other Gyre may need: of
# time, memory, or a server's CPU time for a request. Rates are put as what one CPU could serve, since the load's own CPU
# bounds those that were measured: 1.05 times the rate is 1/1.05 of the CPU time.
CHILD, YIELD, TIMER = "call a child task", "yield, 100 tasks", "arm and cancel a timer"
WAKE, SPAWN, FORK = "wake across threads, on two CPUs", "spawn and join", "fork and join, "
ECHO_50, ECHO_1000 = "echo, 50 connections, 64 B", "echo, 1,000 connections, 64 B"
GOALS = [
    ("micro", CHILD, None, "asio", 0.35),
    ("switch", "switch", None, "fiber (Boost.Context)", 0.7),
    *[("micro", YIELD, None, who, most) for who, most in (("asio", 0.15), ("tokio", 0.3), ("go", 0.15), ("boost_fiber", 0.3))],
    *[("micro", "ping-pong", None, who, most) for who, most in (("go", 0.15), ("asio", 0.1))],
    *[("micro", SPAWN, None, who, most) for who, most in (("tokio", 0.25), ("go", 0.1))],
    *[("micro", TIMER, None, who, most) for who, most in (("asio", 0.5), ("libuv", 0.6))],
    *[("micro", WAKE, None, who, 0.8) for who in ("libuv", "asio")],
    *[("switch", FORK + threads, None, who, most)
      for threads, of in (("1 thread", (0.3, 0.35)), ("2 threads", (0.3, 0.1)))
      for who, most in zip(("oneTBB", "OpenMP tasks (libgomp)"), of)],
    *[("echo", case + ": server CPU", None, "Asio callbacks", 1 / 1.05) for case in (ECHO_50, ECHO_1000)],
    *[("echo", ECHO_50 + ": server CPU", None, who, 1 / rate) for who, rate in (
        ("Asio coroutines", 1.15), ("tokio", 1.15), ("Go", 1.2), ("libuv", 1.1), ("libevent", 1.1), ("uvloop", 3))],
    ("echo", ECHO_50 + ": server CPU", "gyre io_uring", "gyre epoll", 1 / 1.05),
    ("echo", ECHO_50 + ": p99", None, "tokio", 1.0),
    ("echo", "echo, 1 connection, 64 B: p50", None, "epoll by hand", 1.25),
    *[("churn", "churn, short connections: server CPU", None, who, 1 / 1.1) for who in ("Asio callbacks", "libuv")],
    *[("idle", "idle, idle connection: resident", None, who, most) for who, most in (("tokio", 0.6), ("Go", 0.15))],
    *[("http", "http, pipelining 16: server CPU", None, who, 1 / rate) for who, rate in (("nginx", 2.5), ("Go net/http", 4))],
    ("http", "http, no pipelining: server CPU", None, "nginx", 1 / 1.2),
    ("udp", "udp, 64 in flight: server CPU", None, "libuv, batches", 1 / 1.15),
]
UNMEASURED = ("Goals without a measurement beside a peer: a hand-written task with frames from malloc; a channel between threads "
              "and a mutex beside tokio; a million random timers, and a million that expire, beside libuv (their floors are below); "
              "a million sleeping tasks beside tokio and Go; hyper; datagrams with segmentation offload; cached reads of files; "
              "sendfile beside nginx.")


def table(suites):
    workloads = {(suite, workload["name"]): workload for suite, data in suites.items() for workload in data["workloads"]}
    lines = ["| goal: Gyre needs, of | what the other needs | at most | it needs | |", "| --- | --- | ---: | ---: | --- |"]
    met = measured = 0
    for suite, name, ours, other, most in GOALS:
        key = bench_verdict.key_of(suite, {"name": name})
        workload = workloads.get((suite, name))
        medians = {each["who"]: statistics.median(each["values"]) for each in workload["results"] if each.get("values")} if workload else {}
        first = ours or next((each["who"] for each in workload["results"] if each["kind"] == "gyre"), None) if workload else ours
        if first not in medians or other not in medians:
            lines.append(f"| {key} | {other} | {most:.2f}× | | not measured |")
            continue
        ratio = bench_verdict.needs(workload, medians[first], medians[other])
        measured += 1
        met += ratio <= most
        lines.append(f"| {key}{f' ({ours})' if ours else ''} | {other} | {most:.2f}× | {ratio:.2f}× | {'met' if ratio <= most else '**missed**'} |")
    return ["## Goals", "",
            f"What Gyre set itself before it was written, beside other runtimes: {met} of {measured} that were measured are met. Those "
            "beside floors stand with them, below. A goal for a rate is put as CPU time for a request, because the load's own CPU "
            "bounds the rates here: 1.05 times the rate is 0.95 of the time.", "", *lines, "", UNMEASURED, ""]
