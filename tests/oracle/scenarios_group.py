"""Task groups: joining, failing, cancelling."""

import asyncio

from virtual_loop import failer, log, names_of, scenario, sleeper, yes


@scenario("C-110", "A group joins children of its body and of other children.")
async def group_join():
    async with asyncio.TaskGroup() as group:

        async def spawner():
            log("spawner start")
            await asyncio.sleep(10)
            group.create_task(sleeper("grandchild", 20))
            log("spawner end")

        group.create_task(spawner())
        group.create_task(sleeper("child", 15))
        log("body end")
    log("joined")


@scenario("C-110", "A group whose children are finished, and one without children, end at once.")
async def group_nothing_to_join():
    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("a", 5))
        await asyncio.sleep(10)
        log("body end")
    log("joined")
    async with asyncio.TaskGroup():
        log("empty body")
    log("joined again")


@scenario("C-111, S-20", "A failing child cancels its siblings; the group ends when all have, with the error.")
async def group_child_fails():
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(sleeper("a", 100))
            group.create_task(failer("bad", 10))
            group.create_task(sleeper("c", 100))
    except* ValueError as error:
        log(f"group failed: {names_of(error)}")


@scenario("C-111, S-20", "A failing child cancels its siblings in spawn order, then the body that still runs.")
async def group_child_fails_body_waits():
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(sleeper("a", 100))
            group.create_task(failer("bad", 10))
            group.create_task(sleeper("c", 100))
            try:
                await asyncio.sleep(50)
            except asyncio.CancelledError:
                log("body cancelled")
                raise
    except* ValueError as error:
        log(f"group failed: {names_of(error)}")


@scenario("C-111", "A sibling that is cancelled awaits its (shielded) clean-up; the group waits for it.")
async def group_waits_for_cleanup():
    async def careful():
        log("careful start")
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            log("careful cancelled")
            await asyncio.sleep(20)  # In Gyre: inside a shielded scope.
            log("careful cleaned up")
            raise

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(careful())
            group.create_task(failer("bad", 10))
    except* ValueError as error:
        log(f"group failed: {names_of(error)}")


@scenario("C-113, S-21", "Several errors, of a child and of clean-ups, are kept in the order in which they happened.")
async def group_error_order():
    async def bad_cleanup(name, ms):
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(ms)  # In Gyre: inside a shielded scope.
            log(f"{name} fails in its clean-up")
            raise ValueError(name)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(bad_cleanup("slow", 20))
            group.create_task(bad_cleanup("quick", 10))
            group.create_task(failer("bad", 10))
    except* ValueError as error:
        log(f"group failed: {names_of(error)}")


@scenario("C-112", "A failing body cancels the children, and its error is in the group.")
async def group_body_fails():
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(sleeper("a", 100))
            group.create_task(sleeper("b", 100))
            await asyncio.sleep(10)
            log("body fails")
            raise ValueError("body")
    except* ValueError as error:
        log(f"group failed: {names_of(error)}")


@scenario("S-27", "A body that fails before its child has run.")
async def group_body_fails_before_start():
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(sleeper("a", 100))
            log("body fails")
            raise ValueError("body")
    except* ValueError as error:
        log(f"group failed: {names_of(error)}")


@scenario("C-114", "A cancel from outside reaches each child once; the group joins them and reports the cancel.")
async def group_cancelled_from_outside():
    async def parent():
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(sleeper("a", 100))
                group.create_task(sleeper("b", 100))
        except asyncio.CancelledError:
            log("parent cancelled")
            raise

    task = asyncio.create_task(parent())
    await asyncio.sleep(10)
    log("main cancels")
    task.cancel()
    await asyncio.wait([task])
    log(f"parent ended, cancelled: {yes(task.cancelled())}")


@scenario("C-114", "A cancel from outside while the body waits: body first, then the children.")
async def group_cancelled_in_body():
    async def parent():
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(sleeper("a", 100))
                try:
                    await asyncio.sleep(50)
                except asyncio.CancelledError:
                    log("body cancelled")
                    raise
        except asyncio.CancelledError:
            log("parent cancelled")
            raise

    task = asyncio.create_task(parent())
    await asyncio.sleep(10)
    log("main cancels")
    task.cancel()
    await asyncio.wait([task])
    log(f"parent ended, cancelled: {yes(task.cancelled())}")


@scenario("C-115, S-22", "A cancel from outside, and a child that fails because of it.", before=(3, 13))
async def group_cancelled_and_error():
    async def bad_cleanup():
        try:
            await asyncio.sleep(100)
        finally:
            log("child fails in its clean-up")
            raise ValueError("clean-up")

    async def parent():
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(bad_cleanup())
        except* ValueError as error:
            log(f"group failed: {names_of(error)}")
        try:
            await asyncio.sleep(5)
            log("the next wait ran: the cancel is lost")
        except asyncio.CancelledError:
            log("the next wait is cancelled")
            raise

    task = asyncio.create_task(parent())
    await asyncio.sleep(10)
    log("main cancels")
    task.cancel()
    await asyncio.wait([task])


@scenario("C-116, S-25", "One child cancelled by itself is no error; its siblings go on.")
async def group_one_child_cancelled():
    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("a", 30))
        b = group.create_task(sleeper("b", 100))
        group.create_task(sleeper("c", 20))
        await asyncio.sleep(10)
        log("body cancels b")
        b.cancel()
    log("joined")


@scenario("C-117", "A failure in the outer group cancels the inner group, which joins before it lets go.")
async def group_nested_outer_fails():
    async def inner():
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(sleeper("inner a", 100))
                group.create_task(sleeper("inner b", 100))
        finally:
            log("inner group ended")

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(inner())
            group.create_task(failer("bad", 10))
    except* ValueError as error:
        log(f"outer group failed: {names_of(error)}")


@scenario("C-117", "A failure in the inner group fails the outer one, with the inner error nested in it.")
async def group_nested_inner_fails():
    async def inner():
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(sleeper("inner a", 100))
                group.create_task(failer("bad", 10))
        finally:
            log("inner group ended")

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(sleeper("outer a", 100))
            group.create_task(inner())
    except* ValueError as error:
        log(f"outer group failed: {names_of(error)}")


@scenario("C-118, C-119", "After a failed group nothing is cancelled any more: the next wait and group work.")
async def group_leaves_no_cancel():
    for attempt in (1, 2):
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(failer("bad", 10))
                await asyncio.sleep(50)
        except* ValueError as error:
            log(f"group {attempt} failed: {names_of(error)}")
        await asyncio.sleep(5)
        log("the next wait works")


@scenario("C-096, S-29", "A timeout around a group cancels the children, joins them, and reports the timeout.")
async def group_in_timeout():
    try:
        async with asyncio.timeout(10):
            async with asyncio.TaskGroup() as group:
                group.create_task(sleeper("a", 5))
                group.create_task(sleeper("b", 100))
                group.create_task(sleeper("c", 100))
    except TimeoutError:
        log("timeout")


@scenario("S-29", "A timeout around a group whose child fails in its clean-up: the error wins over the timeout.")
async def group_in_timeout_fails():
    async def bad_cleanup():
        try:
            await asyncio.sleep(100)
        finally:
            log("child fails in its clean-up")
            raise ValueError("clean-up")

    try:
        async with asyncio.timeout(10):
            async with asyncio.TaskGroup() as group:
                group.create_task(bad_cleanup())
    except TimeoutError:
        log("timeout")
    except ExceptionGroup as error:
        log(f"group failed: {names_of(error)}")


