"""Cancellation of tasks, and timeouts."""

import asyncio

from virtual_loop import log, scenario, sleeper, yes


async def outcome(name, task):
    """Awaits a task and says how it ended."""
    try:
        value = await task
    except asyncio.CancelledError:
        log(f"{name} joined: cancelled")
    except Exception as error:  # pylint: disable=broad-except
        log(f"{name} joined: failed {error}")
    else:
        log(f"{name} joined: {value}")


@scenario("C-056, C-069", "Cancel of a suspended task ends its sleep at once; its timer is disarmed.")
async def cancel_suspended():
    task = asyncio.create_task(sleeper("a", 100))
    await asyncio.sleep(10)
    log("main cancels")
    task.cancel()
    log("main goes on")
    await outcome("a", task)


@scenario("C-057, S-02", "Cancel before the first step.")
async def cancel_before_start():
    task = asyncio.create_task(sleeper("a", 100))
    task.cancel()
    log("cancelled before start")
    await outcome("a", task)


@scenario("C-058", "Cancel reaches the innermost wait; the clean-up runs from the inside out.")
async def cancel_nested_chain():
    async def inner():
        try:
            await asyncio.sleep(100)
        finally:
            log("inner cleans up")

    async def middle():
        try:
            await inner()
        finally:
            log("middle cleans up")

    async def outer():
        try:
            await middle()
        finally:
            log("outer cleans up")

    task = asyncio.create_task(outer())
    await asyncio.sleep(10)
    task.cancel()
    await outcome("outer", task)


@scenario("C-060", "A task catches its cancel, awaits a (shielded) clean-up, and then ends as cancelled.")
async def cancel_cleanup_awaits():
    async def worker():
        log("worker start")
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            log("worker cancelled")
            await asyncio.sleep(5)  # In Gyre: inside a shielded scope.
            log("worker cleaned up")
            raise

    task = asyncio.create_task(worker())
    await asyncio.sleep(10)
    log("main cancels")
    task.cancel()
    await outcome("worker", task)


@scenario("C-061", "A task may ignore its cancel and end with a value.")
async def cancel_ignored():
    async def worker():
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            log("worker ignores the cancel")
        return 42

    task = asyncio.create_task(worker())
    await asyncio.sleep(10)
    task.cancel()
    await outcome("worker", task)


@scenario("S-07", "A task that swallows its cancel and goes on: what its next waits do.")
async def cancel_swallowed_in_loop():
    async def worker():
        for step in range(4):
            try:
                await asyncio.sleep(10)
                log(f"step {step} slept")
            except asyncio.CancelledError:
                log(f"step {step} cancelled")
        return "done"

    task = asyncio.create_task(worker())
    await asyncio.sleep(15)
    log("main cancels")
    task.cancel()
    await outcome("worker", task)


@scenario("C-062, S-04", "A task that cancels itself runs on to its next wait, which reports it.")
async def cancel_self():
    async def worker():
        asyncio.current_task().cancel()
        log("worker goes on")
        try:
            await asyncio.sleep(10)
            log("not reached")
        except asyncio.CancelledError:
            log("worker cancelled")
            raise

    await outcome("worker", asyncio.create_task(worker()))


@scenario("C-063, S-03", "A task that cancels itself and returns without waiting again.")
async def cancel_self_then_return():
    async def worker():
        asyncio.current_task().cancel()
        log("worker returns 42")
        return 42

    await outcome("worker", asyncio.create_task(worker()))


@scenario("S-01, S-18, rule 1", "Cancel of a task whose wait has its result already.")
async def cancel_after_result():
    future = asyncio.get_running_loop().create_future()

    async def worker():
        try:
            value = await future
        except asyncio.CancelledError:
            log("worker cancelled")
            raise
        log(f"worker got {value}")
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            log("worker cancelled at its next wait")
            raise
        return value

    task = asyncio.create_task(worker())
    await asyncio.sleep(10)
    future.set_result(42)
    task.cancel()
    log("result, then cancel")
    await outcome("worker", task)


@scenario("S-05", "Two cancels before the task runs again are delivered as one.")
async def cancel_twice():
    async def worker():
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            log("worker cancelled")
        return "done"

    task = asyncio.create_task(worker())
    await asyncio.sleep(10)
    task.cancel()
    task.cancel()
    await outcome("worker", task)


@scenario("S-06", "Cancel of a finished task changes nothing.")
async def cancel_finished():
    async def worker():
        log("worker returns 42")
        return 42

    task = asyncio.create_task(worker())
    await asyncio.sleep(10)
    task.cancel()
    await outcome("worker", task)


@scenario("S-09", "Two tasks await a third; one of the two is cancelled.")
async def cancel_one_of_two_joiners():
    child = asyncio.create_task(sleeper("child", 30))

    async def joiner(name):
        try:
            await child
            log(f"{name} joined the child")
        except asyncio.CancelledError:
            log(f"{name} cancelled")

    first = asyncio.create_task(joiner("first"))
    second = asyncio.create_task(joiner("second"))
    await asyncio.sleep(10)
    log("main cancels first")
    first.cancel()
    await asyncio.wait([first, second])
    log("main end")


@scenario("C-064", "An exception that is thrown while a cancel is handled takes its place.")
async def cancel_replaced_by_error():
    async def worker():
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            log("worker fails in its clean-up")
            raise ValueError("clean-up") from None

    task = asyncio.create_task(worker())
    await asyncio.sleep(10)
    task.cancel()
    await outcome("worker", task)


@scenario("C-056", "Three suspended tasks, cancelled in the order c, a, b, see it in that order.")
async def cancel_order():
    tasks = {name: asyncio.create_task(sleeper(name, 100)) for name in ("a", "b", "c")}
    await asyncio.sleep(10)
    for name in ("c", "a", "b"):
        log(f"main cancels {name}")
        tasks[name].cancel()
    await asyncio.sleep(10)
    log("main end")


@scenario("C-096", "A timeout that expires: the wait ends at the deadline, the code behind the block goes on.")
async def timeout_expires():
    try:
        async with asyncio.timeout(10):
            await sleeper("inside", 50)
    except TimeoutError:
        log("timeout")
    await asyncio.sleep(5)
    log("end")


@scenario("C-096", "A timeout that does not expire leaves no trace, also after its deadline.")
async def timeout_not_reached():
    try:
        async with asyncio.timeout(20):
            await sleeper("inside", 10)
        log("in time")
    except TimeoutError:
        log("timeout")
    await asyncio.sleep(50)
    log("end")


@scenario("C-097", "A deadline that has passed already strikes at the first wait, not before.")
async def timeout_zero():
    try:
        async with asyncio.timeout(0):
            log("inside")
            await asyncio.sleep(10)
            log("not reached")
    except TimeoutError:
        log("timeout")
    try:
        async with asyncio.timeout(-5):
            log("inside again")
            await asyncio.sleep(10)
            log("not reached")
    except TimeoutError:
        log("timeout again")


async def nested_timeouts(outer, inner):
    try:
        async with asyncio.timeout(outer):
            try:
                async with asyncio.timeout(inner):
                    await sleeper("inside", 50)
            except TimeoutError:
                log("inner timeout")
            except asyncio.CancelledError:
                log("inner cancelled")
                raise
            await sleeper("between", 50)
    except TimeoutError:
        log("outer timeout")
    log("end")


@scenario("C-099", "Nested timeouts, the inner one expires first: the outer one still works.")
async def timeout_nested_inner_first():
    await nested_timeouts(20, 10)


@scenario("C-099", "Nested timeouts, the outer one expires first: the inner block sees a cancel.")
async def timeout_nested_outer_first():
    await nested_timeouts(10, 20)


@scenario("C-098, S-13", "Nested timeouts with one deadline: only the outer one reports.")
async def timeout_nested_equal():
    await nested_timeouts(10, 10)


@scenario("C-100", "A deadline moved later, moved earlier, and switched off.")
async def timeout_reschedule():
    now = asyncio.get_running_loop().time
    for name, start, then in (("later", 10, 30), ("earlier", 30, 10), ("off", 10, None)):
        try:
            async with asyncio.timeout(start) as scope:
                await asyncio.sleep(5)
                scope.reschedule(None if then is None else now() + then)
                log(f"moved {name}")
                await asyncio.sleep(40)
                log("slept")
        except TimeoutError:
            log("timeout")


@scenario("S-16", "A block that swallows the cancel of its timeout: no timeout error, but expired() is true.")
async def timeout_swallowed():
    async with asyncio.timeout(10) as scope:
        try:
            await asyncio.sleep(50)
        except asyncio.CancelledError:
            log("swallowed")
    log(f"expired: {yes(scope.expired())}")


@scenario("C-109, S-18", "The result arrives in the tick of the deadline, before the deadline is looked at.")
async def timeout_value_in_same_tick():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_at(10, future.set_result, 42)
    try:
        async with asyncio.timeout_at(10):
            log(f"got {await future}")
    except TimeoutError:
        log("timeout")


@scenario("C-103, S-14", "A cancel from outside passes through a timeout that has not expired.")
async def timeout_foreign_cancel():
    async def worker():
        try:
            async with asyncio.timeout(50):
                await sleeper("inside", 100)
        except TimeoutError:
            log("not reached")

    task = asyncio.create_task(worker())
    await asyncio.sleep(10)
    task.cancel()
    await outcome("worker", task)
    await asyncio.sleep(100)
    log("end")


@scenario("C-104, S-19", "A timeout works in the clean-up of a cancelled task (in Gyre: inside a shield).")
async def timeout_in_cleanup():
    async def worker():
        try:
            await asyncio.sleep(100)
        finally:
            log("clean-up begins")
            try:
                async with asyncio.timeout(5):
                    await asyncio.sleep(50)
            except TimeoutError:
                log("clean-up timed out")

    task = asyncio.create_task(worker())
    await asyncio.sleep(10)
    task.cancel()
    await outcome("worker", task)


@scenario("C-106", "A timeout waits for the clean-up of what it cancelled, and may so take longer.")
async def timeout_waits_for_cleanup():
    try:
        async with asyncio.timeout(10):
            try:
                await asyncio.sleep(50)
            finally:
                log("clean-up begins")
                await asyncio.sleep(20)  # In Gyre: inside a shielded scope.
                log("clean-up ends")
    except TimeoutError:
        log("timeout")
