"""The loop itself: callbacks, ticks, timers, stop, and the order in which tasks run."""

import asyncio
import contextvars
import gc
import socket

from virtual_loop import failer, log, scenario, sleeper, turn, yes


@scenario("C-003", "Callbacks run in the order in which they were posted, after the one that posts them.")
def call_soon_fifo(loop):
    def first():
        log("first")
        for name in ("a", "b", "c"):
            loop.call_soon(log, name)
        log("first end")

    loop.call_soon(first)
    loop.call_soon(log, "second")
    loop.call_soon(lambda: loop.call_later(1, loop.stop))
    loop.run_forever()


@scenario("C-004, S-49", "A callback that a callback schedules runs in the next turn; the rest of this turn comes first.")
def call_soon_next_turn(loop):
    def outer(name):
        begun = turn()
        log(f"{name} outer")
        loop.call_soon(lambda: log(f"{name} inner, {turn() - begun} turn later"))

    loop.call_soon(outer, "a")
    loop.call_soon(outer, "b")
    loop.call_later(1, loop.stop)
    loop.run_forever()


@scenario("C-005", "A cancelled handle never runs, and cancelling twice is harmless; its neighbours run.")
def handle_cancelled(loop):
    loop.call_soon(log, "a")
    soon = loop.call_soon(log, "b, which must not run")
    loop.call_soon(log, "c")
    loop.call_later(10, log, "timer a")
    timer = loop.call_later(20, log, "timer b, which must not run")
    loop.call_later(30, log, "timer c")
    loop.call_later(40, loop.stop)
    for _ in range(2):
        soon.cancel()
        timer.cancel()
    loop.run_forever()


@scenario("C-006", "An exception in a callback reaches the exception handler, and the loop goes on.")
def callback_fails(loop):
    def fail():
        log("fail")
        raise ValueError("boom")

    loop.set_exception_handler(lambda _, context: log(f"handler {context['exception']}"))
    loop.call_soon(log, "a")
    loop.call_soon(fail)
    loop.call_soon(log, "b")
    loop.call_later(1, loop.stop)
    loop.run_forever()


@scenario("C-007, S-56", "stop() in a callback: this turn's callbacks run, those they schedule wait for the next run.")
def stop_in_callback(loop):
    def stopper():
        log("a stops")
        loop.stop()
        loop.call_soon(log, "scheduled after stop")

    loop.call_soon(stopper)
    loop.call_soon(log, "b, same turn")
    loop.run_forever()
    loop.log("first run ended")
    loop.call_later(1, loop.stop)
    loop.run_forever()
    loop.log("second run ended")


@scenario("C-008", "stop() before run: exactly one turn, which does not wait.")
def stop_before_run(loop):
    loop.call_later(10, log, "timer")
    loop.call_soon(lambda: (log("a"), loop.call_soon(log, "a's child")))
    loop.stop()
    loop.run_forever()
    loop.log("first run ended")
    loop.call_later(20, loop.stop)
    loop.run_forever()
    loop.log("second run ended")


@scenario("C-013, C-014", "Timers fire in the order of their deadlines; zero and negative delays at the next turn.")
def timer_order(loop):
    for delay in (30, 10, 20, 0, -5):
        loop.call_later(delay, log, f"timer {delay}")
    loop.call_soon(log, "soon")
    loop.call_later(40, loop.stop)
    loop.run_forever()


@scenario("C-014, S-51", "Eight timers with one deadline (a heap in asyncio: no order).")
def timer_equal_deadlines(loop):
    for name in range(8):
        loop.call_at(10, log, f"timer {name}")
    loop.call_later(20, loop.stop)
    loop.run_forever()


@scenario("S-50, S-54", "What is ready in one turn: posted callbacks first, then input, then timers.")
def tick_order(loop):
    left, right = socket.socketpair()

    def readable():
        right.recv(1)
        log("io")

    def arrange():  # at 5: all three become ready for the next turn
        log("arrange")
        loop.call_later(0, log, "timer")
        left.send(b"x")
        loop.call_soon(log, "soon")

    loop.add_reader(right, readable)
    loop.call_later(5, arrange)
    loop.call_later(10, loop.stop)
    loop.run_forever()
    loop.remove_reader(right)
    left.close()
    right.close()


@scenario("S-49, S-54", "A task that yields for ever does not keep a due timer, or what a timer wakes, from running.")
async def yields_do_not_starve_timers():
    fired = []
    asyncio.get_running_loop().call_later(0, fired.append, True)
    log("start")
    for _ in range(1000):
        await asyncio.sleep(0)
        if fired:
            break
    log(f"timer fired: {yes(bool(fired))}")


@scenario("C-110, S-49", "Children start in spawn order, and not before the spawner suspends.")
async def spawn_order():
    async with asyncio.TaskGroup() as group:
        for name in ("a", "b", "c"):
            group.create_task(sleeper(name, 10))
            log(f"spawned {name}")
        log("body end")
    log("joined")


@scenario("S-49", "A child that a child spawns starts after those that were spawned before it.")
async def spawn_from_child():
    async with asyncio.TaskGroup() as group:

        async def parent(name, children):
            log(f"{name} start")
            for child in children:
                group.create_task(parent(child, []))
            log(f"{name} end")

        group.create_task(parent("a", ["a1", "a2"]))
        group.create_task(parent("b", ["b1"]))
        group.create_task(parent("c", []))
    log("joined")


@scenario("S-49, C-003", "Three tasks that yield take turns.")
async def yield_round_robin():
    async def worker(name):
        for step in range(3):
            log(f"{name} {step}")
            await asyncio.sleep(0)
        log(f"{name} end")

    async with asyncio.TaskGroup() as group:
        for name in ("a", "b", "c"):
            group.create_task(worker(name))
    log("joined")


@scenario("S-49", "Tasks that yield a different number of times: each leaves the round when it is done.")
async def yield_uneven():
    async def worker(name, count):
        for step in range(count):
            log(f"{name} {step}")
            await asyncio.sleep(0)
        log(f"{name} end")

    async with asyncio.TaskGroup() as group:
        for name, count in (("a", 1), ("b", 3), ("c", 0), ("d", 2)):
            group.create_task(worker(name, count))
    log("joined")


@scenario("C-012, C-014", "Sleeps end in the order of their deadlines, not of their start, at the exact time.")
async def sleep_order():
    async with asyncio.TaskGroup() as group:
        for name, ms in (("a", 30), ("b", 10), ("c", 20), ("d", 25)):
            group.create_task(sleeper(name, ms))
    log("joined")


@scenario("C-013, C-097", "A sleep of zero or less is a yield: it takes no time but gives others their turn.")
async def sleep_zero_negative():
    async def worker(name, ms):
        log(f"{name} before")
        await asyncio.sleep(ms)
        log(f"{name} after")

    async with asyncio.TaskGroup() as group:
        group.create_task(worker("positive", 1))
        group.create_task(worker("zero", 0))
        group.create_task(worker("negative", -5))
        group.create_task(worker("zero again", 0))
    log("joined")


@scenario("S-49, S-50", "Tasks that one instant wakes go in deadline order, then take turns with their yields.")
async def sleepers_interleave():
    async def worker(name, first, second):
        await asyncio.sleep(first)
        log(f"{name} awake")
        await asyncio.sleep(0)
        log(f"{name} yielded")
        await asyncio.sleep(second)
        log(f"{name} end")

    async with asyncio.TaskGroup() as group:
        group.create_task(worker("a", 5, 10))
        group.create_task(worker("b", 10, 10))
        group.create_task(worker("c", 10, 5))
    log("joined")


@scenario("S-51", "Eight sleepers with one deadline (asyncio: no order).")
async def sleep_equal_deadlines():
    async with asyncio.TaskGroup() as group:
        for name in "abcdefgh":
            group.create_task(sleeper(name, 10))
    log("joined")


@scenario("C-001", "Awaiting a coroutine runs it at once, in the same turn; its exception comes back through the chain.")
async def await_chain():
    async def leaf():
        log("leaf")
        raise ValueError("leaf")

    async def middle():
        log("middle begin")
        try:
            await leaf()
        finally:
            log("middle finally")

    begun = turn()
    try:
        await middle()
    except ValueError as error:
        log(f"main caught {error}, {turn() - begun} turns later")


@scenario("C-074", "Context is copied at spawn: a child sees the values of then, and its own writes stay its own.")
async def context_copied_at_spawn():
    variable = contextvars.ContextVar("variable", default="none")

    async def child(name):
        log(f"{name} sees {variable.get()}")
        variable.set(name)
        await asyncio.sleep(0)
        log(f"{name} has {variable.get()}")

    async with asyncio.TaskGroup() as group:
        group.create_task(child("a"))
        variable.set("from main")
        group.create_task(child("b"))
        variable.set("later")
        log(f"main has {variable.get()}")
    log(f"main still has {variable.get()}")


@scenario("C-072", "The current task is right under interleaving, through nested awaits.")
async def current_task():
    async def nested(name):
        await asyncio.sleep(0)
        log(f"in {name}: {asyncio.current_task().get_name()}")

    async def worker(name):
        log(f"in {name}: {asyncio.current_task().get_name()}")
        await nested(name)
        await asyncio.sleep(5)
        log(f"in {name}: {asyncio.current_task().get_name()}")

    async with asyncio.TaskGroup() as group:
        for name in ("a", "b", "c"):
            group.create_task(worker(name), name=name)


@scenario("C-073", "The list of all tasks holds the blocked ones and not the finished ones.")
async def all_tasks():
    def names():
        return " ".join(sorted(task.get_name() for task in asyncio.all_tasks()))

    asyncio.current_task().set_name("main")
    async with asyncio.TaskGroup() as group:
        for name, ms in (("a", 10), ("b", 30), ("c", 20)):
            group.create_task(asyncio.sleep(ms), name=name)
        log(f"spawned: {names()}")
        await asyncio.sleep(15)
        log(f"a has ended: {names()}")
    log(f"joined: {names()}")


@scenario("C-026, rule 10", "A detached task that fails, and that nobody holds, is reported when it ends.")
async def detached_failure():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: log(f"sink {context['exception']}"))
    loop.create_task(failer("a", 10))
    loop.create_task(sleeper("b", 20))
    await asyncio.sleep(30)
    log("main end")


@scenario("C-050, rule 10", "A detached task that fails while somebody still holds its handle.")
async def detached_failure_held():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: log(f"sink {context['exception']}"))
    handle = loop.create_task(failer("a", 10))
    await asyncio.sleep(20)
    log("main lets go")
    del handle
    gc.collect()
    log("main end")


@scenario("C-031", "An asynchronous generator: values in order, the clean-up at the explicit close.")
async def generator_close():
    async def counter():
        log("generator begins")
        try:
            for value in range(5):
                await asyncio.sleep(10)
                yield value
        finally:
            log("generator cleans up")

    generator = counter()
    async for value in generator:
        log(f"got {value}")
        if value == 2:
            break
    log("closing")
    await generator.aclose()
    log("closed")
