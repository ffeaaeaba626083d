"""gather, wait, as_completed, shield, and awaiting tasks and futures."""

import asyncio

from virtual_loop import failer, log, scenario


async def value_after(name, ms):
    log(f"{name} start")
    try:
        await asyncio.sleep(ms)
    except asyncio.CancelledError:
        log(f"{name} cancelled")
        raise
    log(f"{name} end")
    return name


@scenario("C-085", "gather starts in argument order, runs concurrently, and keeps the results in argument order.")
async def gather_order():
    results = await asyncio.gather(value_after("a", 30), value_after("b", 10), value_after("c", 20))
    log(f"results {' '.join(results)}")


@scenario("C-086", "gather with errors as values: everything ends, errors stand at their argument's place.")
async def gather_errors_as_values():
    results = await asyncio.gather(
        value_after("a", 20), failer("b", 10), value_after("c", 5), failer("d", 15), return_exceptions=True
    )
    log("results " + " ".join(f"error:{r}" if isinstance(r, Exception) else r for r in results))


@scenario("C-088, S-34", "gather when one child fails: what becomes of the others.")
async def gather_fails():
    tasks = [
        asyncio.create_task(coroutine) for coroutine in (value_after("a", 30), failer("b", 10), value_after("c", 20))
    ]
    try:
        await asyncio.gather(*tasks)
    except ValueError as error:
        log(f"gather failed: {error}")
    await asyncio.wait(tasks)
    log("end")


@scenario("C-087", "Cancelling gather cancels all its children, in argument order; then it reports the cancel.")
async def gather_cancelled():
    async def parent():
        try:
            await asyncio.gather(value_after("a", 100), value_after("b", 100), value_after("c", 100))
        except asyncio.CancelledError:
            log("gather cancelled")
            raise

    task = asyncio.create_task(parent())
    await asyncio.sleep(10)
    log("main cancels")
    task.cancel()
    await asyncio.wait([task])
    log("end")


@scenario("C-092", "as_completed yields in the order of completion.")
async def as_completed_order():
    children = [asyncio.create_task(value_after(name, ms)) for name, ms in (("a", 30), ("b", 10), ("c", 20))]
    for next_one in asyncio.as_completed(children):
        log(f"completed {await next_one}")
    log("end")


@scenario("C-081", "The first of three wins; the losers are cancelled and awaited before the winner is used.")
async def first_completed():
    tasks = [asyncio.create_task(value_after(name, ms)) for name, ms in (("a", 30), ("b", 10), ("c", 20))]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if task in pending:
            task.cancel()
    await asyncio.wait(pending)
    log(f"winner {done.pop().result()}")


@scenario("C-081", "The first of two completes with an error: that is its result, and the loser is cancelled and awaited.")
async def first_completed_fails():
    tasks = [asyncio.create_task(value_after("a", 30)), asyncio.create_task(failer("b", 10))]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.wait(pending)
    log(f"first failed: {done.pop().exception()}")


@scenario("C-082", "A wait that times out cancels nothing: the tasks go on and can be waited for again.")
async def wait_timeout_cancels_nothing():
    task = asyncio.create_task(value_after("a", 30))
    _, pending = await asyncio.wait([task], timeout=10)
    log(f"pending: {len(pending)}")
    await asyncio.wait([task])
    log("joined")


@scenario("C-089", "shield passes the result through.")
async def shield_passes_result():
    log(f"result {await asyncio.shield(value_after('a', 10))}")


@scenario("C-090, S-36", "A cancelled task is inside a shield: when it sees the cancel, and what becomes of the inner work.")
async def shield_outer_cancelled():
    async def outer():
        try:
            value = await asyncio.shield(inner)
            log(f"outer got {value}")
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            log("outer cancelled")
            raise

    inner = asyncio.create_task(value_after("inner", 30))
    task = asyncio.create_task(outer())
    await asyncio.sleep(10)
    log("main cancels")
    task.cancel()
    await asyncio.wait([task])
    log("outer joined")
    await asyncio.wait([inner])
    log("end")


@scenario("C-048", "Several tasks wait for one result; it wakes them in the order in which they came.")
async def future_wakes_in_order():
    future = asyncio.get_running_loop().create_future()

    async def waiter(name):
        log(f"{name} waits")
        log(f"{name} got {await future}")

    async with asyncio.TaskGroup() as group:
        for name in ("a", "b", "c"):
            group.create_task(waiter(name))
        await asyncio.sleep(10)
        future.set_result(42)
        log("set")
    log("joined")


@scenario("S-08, C-048", "A result that is there already is taken without giving others a turn.")
async def future_ready():
    future = asyncio.get_running_loop().create_future()
    future.set_result(42)

    async def other():
        log("other runs")

    async with asyncio.TaskGroup() as group:
        group.create_task(other())
        log(f"got {await future}")
        log("body end")
    log("joined")


@scenario("C-001", "Joining tasks one after the other, in another order than they end.")
async def join_in_other_order():
    tasks = {name: asyncio.create_task(value_after(name, ms)) for name, ms in (("a", 30), ("b", 10), ("c", 20))}
    for name in ("c", "b", "a"):
        log(f"joined {await tasks[name]}")
