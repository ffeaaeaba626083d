"""asyncio of CPython, or with `uvloop` as the first argument asyncio on uvloop. See peer.h for what a peer prints."""
import asyncio
import platform
import sys
import threading
import time


async def child(value):
    return value


async def await_children(count):
    begin = time.perf_counter_ns()
    for _ in range(count):
        await child(1)
    return time.perf_counter_ns() - begin


async def yields(count):
    for _ in range(count):
        await asyncio.sleep(0)


def yield_among(tasks):
    async def run(count):
        begin = time.perf_counter_ns()
        await asyncio.gather(*(yields(count // tasks) for _ in range(tasks)))
        return time.perf_counter_ns() - begin
    return run


async def ping_pong(count):
    there, back = asyncio.Queue(1), asyncio.Queue(1)

    async def pong():
        for _ in range(count):
            await back.put(await there.get())

    task = asyncio.create_task(pong())
    begin = time.perf_counter_ns()
    for _ in range(count):
        await there.put(1)
        await back.get()
    spent = time.perf_counter_ns() - begin
    await task
    return spent


async def spawn_join(count):
    begin = time.perf_counter_ns()
    for _ in range(count):
        await asyncio.create_task(child(1))
    return time.perf_counter_ns() - begin


async def spawn_many(count):
    begin = time.perf_counter_ns()
    for _ in range(0, count, 1000):
        await asyncio.gather(*(asyncio.create_task(child(1)) for _ in range(1000)))
    return time.perf_counter_ns() - begin


async def sleeps(count):
    before = time.process_time_ns()
    for _ in range(0, count, 10_000):
        await asyncio.gather(*(asyncio.sleep((1 + i * 7919 % 20_000) / 1e6) for i in range(10_000)))
    return time.process_time_ns() - before


async def timers(count):
    loop = asyncio.get_running_loop()
    begin = time.perf_counter_ns()
    for _ in range(0, count, 100_000):
        handles = [loop.call_later(1 + i * 7919 % 59_000 / 1000, print) for i in range(100_000)]
        for handle in handles:
            handle.cancel()
        await asyncio.sleep(0)  # the loop drops what was cancelled
    return time.perf_counter_ns() - begin


# Two loops, a thread each.
async def wake(count):
    loops, over, left = [asyncio.get_running_loop(), asyncio.new_event_loop()], asyncio.Event(), 2 * count

    def hit(side):
        nonlocal left
        if left == 0:
            loops[1].call_soon_threadsafe(loops[1].stop)
            over.set()
        else:
            left -= 1
            loops[1 - side].call_soon_threadsafe(hit, 1 - side)

    other = threading.Thread(target=loops[1].run_forever)
    other.start()
    begin = time.perf_counter_ns()
    hit(0)
    await over.wait()
    spent = time.perf_counter_ns() - begin
    other.join()
    loops[1].close()
    return spent


WORKLOADS = {"child": (await_children, 1000), "yield_1": (yield_among(1), 1000), "yield_100": (yield_among(100), 1000),
             "yield_10000": (yield_among(10_000), 20_000), "ping_pong": (ping_pong, 1000),
             "spawn_join": (spawn_join, 1000), "spawn_many": (spawn_many, 1000), "sleep": (sleeps, 10_000),
             "timer_cancel": (timers, 100_000), "wake": (wake, 1000)}


def main():
    arguments = sys.argv[1:]
    version = platform.python_version()
    if arguments[:1] == ["uvloop"]:
        import uvloop
        uvloop.install()
        version = uvloop.__version__
        arguments = arguments[1:]
    if not arguments:
        print(f"version {version}", *WORKLOADS, sep="\n")
        return
    run, count = WORKLOADS[arguments[0]]
    while True:
        begin = time.perf_counter_ns()
        spent = asyncio.run(run(count))
        if time.perf_counter_ns() - begin >= 60e6:
            print(f"{spent / count:.3f}")
            return
        count *= 4


main()
