"""Locks, semaphores, events, conditions, barriers, queues."""

import asyncio

from virtual_loop import log, scenario, yes


async def holder(name, lock, ms):
    """Takes the lock for a while."""
    log(f"{name} asks")
    try:
        await lock.acquire()
    except asyncio.CancelledError:
        log(f"{name} cancelled")
        raise
    log(f"{name} has it")
    await asyncio.sleep(ms)
    log(f"{name} releases")
    lock.release()


@scenario("C-127", "A lock is handed over in the order in which it was asked for.")
async def lock_fifo():
    lock = asyncio.Lock()
    async with asyncio.TaskGroup() as group:
        for name in ("a", "b", "c"):
            group.create_task(holder(name, lock, 10))
    log("joined")


@scenario("C-127, S-47", "Who releases a lock and asks again at once goes behind those who wait.")
async def lock_no_barging():
    lock = asyncio.Lock()

    async def greedy():
        for step in range(2):
            await lock.acquire()
            log(f"greedy has it {step}")
            await asyncio.sleep(10)
            log(f"greedy releases {step}")
            lock.release()

    async with asyncio.TaskGroup() as group:
        group.create_task(greedy())
        group.create_task(holder("b", lock, 10))
        group.create_task(holder("c", lock, 10))
    log("joined")


@scenario("C-127, C-128", "A waiter that is cancelled leaves the queue; the lock goes to the one behind it.")
async def lock_waiter_cancelled():
    lock = asyncio.Lock()
    async with asyncio.TaskGroup() as group:
        group.create_task(holder("a", lock, 20))
        b = group.create_task(holder("b", lock, 10))
        group.create_task(holder("c", lock, 10))
        await asyncio.sleep(10)
        log("body cancels b")
        b.cancel()
    log("joined")


@scenario("S-42", "First the waiter is cancelled, then the lock released, before the waiter runs: the next one gets it.")
async def lock_cancel_then_release():
    lock = asyncio.Lock()
    await lock.acquire()
    async with asyncio.TaskGroup() as group:
        a = group.create_task(holder("a", lock, 10))
        group.create_task(holder("b", lock, 10))
        await asyncio.sleep(10)
        a.cancel()
        lock.release()
        log("cancel a, release")
    log(f"joined, locked: {yes(lock.locked())}")


@scenario("S-42, S-47", "First the lock is released to a waiter, then the waiter is cancelled, before it runs.")
async def lock_release_then_cancel():
    lock = asyncio.Lock()
    await lock.acquire()
    async with asyncio.TaskGroup() as group:

        async def waiter():
            try:
                await lock.acquire()
            except asyncio.CancelledError:
                log("a cancelled")
                raise
            log("a has it")
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                log("a cancelled at its next wait")
                raise
            finally:
                lock.release()

        a = group.create_task(waiter())
        group.create_task(holder("b", lock, 10))
        await asyncio.sleep(10)
        lock.release()
        a.cancel()
        log("release, cancel a")
    log(f"joined, locked: {yes(lock.locked())}")


@scenario("S-08", "A lock that is free is taken without giving others a turn.")
async def lock_uncontended():
    lock = asyncio.Lock()

    async def other():
        log("other runs")

    async with asyncio.TaskGroup() as group:
        group.create_task(other())
        for step in range(2):
            async with lock:
                log(f"body has it {step}")
    log("joined")


@scenario("C-134", "A semaphore of two: never more than two inside, in the order of asking.")
async def semaphore_fifo():
    semaphore = asyncio.Semaphore(2)
    async with asyncio.TaskGroup() as group:
        for name, ms in (("a", 10), ("b", 15), ("c", 10), ("d", 10), ("e", 10)):
            group.create_task(holder(name, semaphore, ms))
    log("joined")


@scenario("C-134", "A semaphore's waiter that is cancelled takes no permit with it.")
async def semaphore_waiter_cancelled():
    semaphore = asyncio.Semaphore(1)
    async with asyncio.TaskGroup() as group:
        group.create_task(holder("a", semaphore, 20))
        b = group.create_task(holder("b", semaphore, 10))
        group.create_task(holder("c", semaphore, 10))
        await asyncio.sleep(10)
        b.cancel()
    log(f"joined, locked: {yes(semaphore.locked())}")


@scenario("S-43", "Three releases wake three waiters, in order, before the first of them runs.")
async def semaphore_release_three():
    semaphore = asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as group:

        async def waiter(name):
            await semaphore.acquire()
            log(f"{name} has it")

        for name in ("a", "b", "c", "d"):
            group.create_task(waiter(name))
        await asyncio.sleep(10)
        for _ in range(3):
            semaphore.release()
        log("released three")
        await asyncio.sleep(10)
        semaphore.release()
        log("released one")
    log("joined")


async def event_waiter(name, event):
    log(f"{name} waits")
    try:
        await event.wait()
    except asyncio.CancelledError:
        log(f"{name} cancelled")
        raise
    log(f"{name} wakes")


@scenario("C-129", "Setting an event wakes all waiters, in the order in which they came.")
async def event_wakes_all():
    event = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for name in ("a", "b", "c"):
            group.create_task(event_waiter(name, event))
        await asyncio.sleep(10)
        log("set")
        event.set()
        await asyncio.sleep(10)
        group.create_task(event_waiter("late", event))
    log("joined")


@scenario("C-129, S-45", "Set and clear at once: those who waited wake, who comes later waits.")
async def event_set_clear():
    event = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for name in ("a", "b"):
            group.create_task(event_waiter(name, event))
        await asyncio.sleep(10)
        event.set()
        event.clear()
        log("set, clear")
        group.create_task(event_waiter("late", event))
        await asyncio.sleep(10)
        log("set")
        event.set()
    log("joined")


@scenario("C-129", "A cancelled waiter of an event is gone; the others wake.")
async def event_waiter_cancelled():
    event = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(event_waiter("a", event))
        b = group.create_task(event_waiter("b", event))
        group.create_task(event_waiter("c", event))
        await asyncio.sleep(10)
        b.cancel()
        await asyncio.sleep(10)
        log("set")
        event.set()
    log("joined")


@scenario("C-129, S-49", "Two tasks hand a turn to each other by two events.")
async def event_ping_pong():
    ping, pong = asyncio.Event(), asyncio.Event()

    async def player(name, mine, other):
        for step in range(3):
            await mine.wait()
            mine.clear()
            log(f"{name} {step}")
            other.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(player("ping", ping, pong))
        group.create_task(player("pong", pong, ping))
        await asyncio.sleep(10)
        ping.set()
    log("joined")


async def condition_waiter(name, condition):
    async with condition:
        log(f"{name} waits")
        await condition.wait()
        log(f"{name} wakes")


@scenario("C-130", "notify wakes in the order of waiting: one, two, all.")
async def condition_notify_order():
    condition = asyncio.Condition()
    async with asyncio.TaskGroup() as group:
        for name in "abcde":
            group.create_task(condition_waiter(name, condition))
        for count in (1, 2, 5):
            await asyncio.sleep(10)
            async with condition:
                log(f"notify {count}")
                condition.notify(count)
    log("joined")


@scenario("C-130", "A condition with a predicate wakes for good only when it holds.")
async def condition_wait_for():
    condition = asyncio.Condition()
    items = []

    async def waiter(name, wanted):
        async with condition:
            await condition.wait_for(lambda: len(items) >= wanted)
            log(f"{name} sees {len(items)}")

    async with asyncio.TaskGroup() as group:
        group.create_task(waiter("wants two", 2))
        group.create_task(waiter("wants one", 1))
        for step in range(2):
            await asyncio.sleep(10)
            async with condition:
                items.append(step)
                log("added one")
                condition.notify_all()
    log("joined")


@scenario("C-131", "A cancelled wait on a condition returns with the lock held, though it must queue for it.")
async def condition_cancelled_wait_has_lock():
    condition = asyncio.Condition()

    async def waiter():
        async with condition:
            log("waits")
            try:
                await condition.wait()
            except asyncio.CancelledError:
                log(f"cancelled, locked: {yes(condition.locked())}")
                raise
            finally:
                log("leaves")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(waiter())
        await asyncio.sleep(10)
        async with condition:
            log("body has the lock")
            task.cancel()
            await asyncio.sleep(10)
            log("body releases")
    log("joined")


@scenario("C-135", "A barrier of three lets three through together, twice; the indices are those of arrival.")
async def barrier_cycles():
    barrier = asyncio.Barrier(3)
    seen = []

    async def party(name, ms):
        for cycle in range(2):
            await asyncio.sleep(ms)
            log(f"{name} arrives {cycle}")
            seen.append(await barrier.wait())
            await asyncio.sleep(1)  # All three are through.
            log(f"{name} is through {cycle}")

    async with asyncio.TaskGroup() as group:
        for name, ms in (("a", 10), ("b", 30), ("c", 20)):
            group.create_task(party(name, ms))
    log(f"indices {sorted(seen)}")


async def producer(queue, count, pause=0):
    for item in range(count):
        if pause:
            await asyncio.sleep(pause)
        await queue.put(item)
        log(f"put {item}")


async def consumer(queue, count, pause=0):
    for _ in range(count):
        if pause:
            await asyncio.sleep(pause)
        item = await queue.get()
        log(f"got {item}")


@scenario("C-140", "A slow consumer, one place: the producer is held back.")
async def queue_slow_consumer_1():
    queue = asyncio.Queue(1)
    async with asyncio.TaskGroup() as group:
        group.create_task(producer(queue, 5))
        group.create_task(consumer(queue, 5, pause=10))
    log("joined")


@scenario("C-140", "A slow consumer, two places: the producer runs ahead by two.")
async def queue_slow_consumer_2():
    queue = asyncio.Queue(2)
    async with asyncio.TaskGroup() as group:
        group.create_task(producer(queue, 6))
        group.create_task(consumer(queue, 6, pause=10))
    log("joined")


@scenario("C-140", "A slow producer: the consumer waits, and gets each item when it comes.")
async def queue_slow_producer():
    queue = asyncio.Queue(2)
    async with asyncio.TaskGroup() as group:
        group.create_task(consumer(queue, 4))
        group.create_task(producer(queue, 4, pause=10))
    log("joined")


@scenario("C-140, S-47", "Producer and consumer without pauses, one place: who overtakes whom.")
async def queue_full_speed_1():
    queue = asyncio.Queue(1)
    async with asyncio.TaskGroup() as group:
        group.create_task(producer(queue, 4))
        group.create_task(consumer(queue, 4))
    log("joined")


@scenario("C-138, S-47", "Three getters wait; three items go to them in the order in which they came.")
async def queue_getters_fifo():
    queue = asyncio.Queue()

    async def getter(name):
        log(f"{name} waits")
        log(f"{name} got {await queue.get()}")

    async with asyncio.TaskGroup() as group:
        for name in ("a", "b", "c"):
            group.create_task(getter(name))
        await asyncio.sleep(10)
        for item in range(3):
            queue.put_nowait(item)
        log("put three")
    log("joined")


@scenario("C-138", "Three putters wait for a place; the items go in in the order in which they came.")
async def queue_putters_fifo():
    queue = asyncio.Queue(1)
    queue.put_nowait("first")

    async def putter(name):
        await queue.put(name)
        log(f"{name} is in")

    async with asyncio.TaskGroup() as group:
        for name in ("a", "b", "c"):
            group.create_task(putter(name))
        for _ in range(4):
            await asyncio.sleep(10)
            log(f"got {queue.get_nowait()}")
    log("joined")


@scenario("C-139", "A getter that is cancelled while the queue is empty is gone; the item goes to the next.")
async def queue_get_cancelled():
    queue = asyncio.Queue()

    async def getter(name):
        try:
            log(f"{name} got {await queue.get()}")
        except asyncio.CancelledError:
            log(f"{name} cancelled")
            raise

    async with asyncio.TaskGroup() as group:
        a = group.create_task(getter("a"))
        group.create_task(getter("b"))
        await asyncio.sleep(10)
        a.cancel()
        await asyncio.sleep(10)
        queue.put_nowait("item")
        log("put")
    log("joined")


@scenario("C-139, S-40", "An item is put for a getter, which is cancelled before it runs.")
async def queue_get_cancelled_after_put():
    queue = asyncio.Queue()

    async def getter(name):
        try:
            log(f"{name} got {await queue.get()}")
        except asyncio.CancelledError:
            log(f"{name} cancelled")
            raise

    async with asyncio.TaskGroup() as group:
        a = group.create_task(getter("a"))
        group.create_task(getter("b"))
        await asyncio.sleep(10)
        queue.put_nowait("item 1")
        a.cancel()
        log("put, cancel a")
        await asyncio.sleep(10)
        if not queue.empty():
            log("an item is left")
        queue.put_nowait("item 2")
        log("put again")
        await asyncio.sleep(10)
        log(f"left in the queue: {queue.qsize()}")
    log("joined")


@scenario("C-139, S-41", "A putter that is cancelled while it waits puts nothing; the next one does.")
async def queue_put_cancelled():
    queue = asyncio.Queue(1)
    queue.put_nowait("first")

    async def putter(name):
        try:
            await queue.put(name)
            log(f"{name} is in")
        except asyncio.CancelledError:
            log(f"{name} cancelled")
            raise

    async with asyncio.TaskGroup() as group:
        a = group.create_task(putter("a"))
        group.create_task(putter("b"))
        await asyncio.sleep(10)
        a.cancel()
        for _ in range(2):
            await asyncio.sleep(10)
            log(f"got {queue.get_nowait()}")
    log(f"joined, left in the queue: {queue.qsize()}")


@scenario("C-138", "A priority queue gives the smallest item first, a LIFO queue the newest.")
async def queue_priority_lifo():
    for kind, queue in (("priority", asyncio.PriorityQueue()), ("lifo", asyncio.LifoQueue())):
        for item in (3, 1, 2):
            queue.put_nowait(item)
        for _ in range(2):
            log(f"{kind} {await queue.get()}")
        queue.put_nowait(0)
        for _ in range(2):
            log(f"{kind} {await queue.get()}")


@scenario("C-141", "join waits until each item was reported as done, not only taken.")
async def queue_join():
    queue = asyncio.Queue()

    async def worker():
        for _ in range(2):
            item = await queue.get()
            log(f"got {item}")
            await asyncio.sleep(10)
            log(f"done {item}")
            queue.task_done()

    for item in range(2):
        queue.put_nowait(item)
    async with asyncio.TaskGroup() as group:
        group.create_task(worker())
        await queue.join()
        await asyncio.sleep(1)
        log("all done")
