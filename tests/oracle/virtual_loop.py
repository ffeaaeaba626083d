"""An asyncio event loop whose clock is virtual, and the log that scenarios write to.

The clock counts milliseconds: asyncio.sleep(10) sleeps for 10 of them, exactly, since small integers are exact floats.
When nothing is ready, the selector does not wait but moves the clock to the next timer. A trace is therefore the same
on every machine and at every speed.
"""

import asyncio
import collections
import selectors


class Deadlock(RuntimeError):
    """Nothing is ready and no timer is pending: the scenario would wait for ever."""


class VirtualSelector(selectors.DefaultSelector):
    loop = None

    def select(self, timeout=None):
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if timeout is None:
            raise Deadlock("nothing is ready and no timer is pending")
        self.loop.now_ms += timeout
        return events


class OrderedTask(asyncio.Task):
    """A task that hashes to its spawn number.

    TaskGroup and wait() keep tasks in sets, which iterate in hash order; by default that is the order of addresses and
    thus differs from run to run. A spawn number makes it the spawn order (for the few tasks of a scenario).
    """

    def __init__(self, coroutine, *, number, **kwargs):
        self.number = number  # before the base class, which puts the task into a set
        super().__init__(coroutine, **kwargs)

    def __hash__(self):
        return self.number

    def __eq__(self, other):
        return self is other


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        selector = VirtualSelector()
        selector.loop = self
        self.now_ms = 0.0
        self.turn = 0  # iterations that were begun
        self.events = []
        self.tasks_made = 0
        super().__init__(selector)
        # A timer is due when its deadline is below now + resolution; this is far below the distance of two deadlines.
        self._clock_resolution = 2.0**-20
        self.set_task_factory(VirtualLoop.make_task)

    def make_task(self, coroutine, **kwargs):
        number = self.tasks_made
        self.tasks_made += 1
        return OrderedTask(coroutine, loop=self, number=number, **kwargs)

    def time(self):
        return self.now_ms

    def _run_once(self):
        self.turn += 1
        super()._run_once()

    def log(self, event):
        assert self.now_ms == int(self.now_ms)
        self.events.append(f"{int(self.now_ms)} {event}")


def log(event):
    """Notes an event at the running loop's virtual time."""
    asyncio.get_running_loop().log(event)


def turn():
    """The number of the running loop's current iteration; only differences mean anything."""
    return asyncio.get_running_loop().turn


Scenario = collections.namedtuple("Scenario", "references description function before")
SCENARIOS = {}


def scenario(references, description, before=None):
    """Registers a scenario: an async function (run as main task) or a plain function that is given the loop.

    `before` is the first version of CPython, such as (3, 13), in which the trace is another one.
    """

    def register(function):
        assert function.__name__ not in SCENARIOS, function.__name__
        SCENARIOS[function.__name__] = Scenario(references, description, function, before)
        return function

    return register


# Pieces that many scenarios share.


async def sleeper(name, ms):
    """Says when it starts, ends, or is cancelled."""
    log(f"{name} start")
    try:
        await asyncio.sleep(ms)
    except asyncio.CancelledError:
        log(f"{name} cancelled")
        raise
    log(f"{name} end")


async def failer(name, ms):
    log(f"{name} start")
    await asyncio.sleep(ms)
    log(f"{name} fails")
    raise ValueError(name)


def yes(condition):
    return "yes" if condition else "no"


def names_of(group_error):
    """The messages in an exception group, in its order; nested groups in brackets."""
    return " ".join(
        f"[{names_of(error)}]" if isinstance(error, BaseExceptionGroup) else str(error)
        for error in group_error.exceptions
    )
