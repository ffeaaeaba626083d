#!/usr/bin/env python3
"""Records what asyncio does, as event traces that Gyre replays (tests/oracle_replay_test.cc).

    tests/oracle/record.py            records every scenario into tests/oracle/traces/NAME.trace
    tests/oracle/record.py NAME...    records some
    tests/oracle/record.py --check    records in memory and compares with the committed traces; exit code 1 on a difference
    tests/oracle/record.py --list     prints names, references and descriptions

Needs CPython 3.11 or newer and nothing else. See README.md beside this file.
"""

import asyncio
import difflib
import gc
import inspect
import pathlib
import sys

import scenarios_cancel  # noqa: F401  (each import registers scenarios)
import scenarios_combine  # noqa: F401
import scenarios_group  # noqa: F401
import scenarios_loop  # noqa: F401
import scenarios_sync  # noqa: F401
from virtual_loop import SCENARIOS, VirtualLoop

TRACES = pathlib.Path(__file__).parent / "traces"


def record(name):
    """Runs a scenario on a loop of its own; returns the text of its trace."""
    references, description, function, _ = SCENARIOS[name]
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        if inspect.iscoroutinefunction(function):
            loop.run_until_complete(function())
        else:
            function(loop)
        left = [task.get_name() for task in asyncio.all_tasks(loop)]
        if left:
            raise RuntimeError(f"{name}: these tasks were not joined: {left}")
    finally:
        asyncio.set_event_loop(None)
        loop.close()
        gc.collect()
    lines = [f"# {references}: {description}", *loop.events]
    return "".join(f"{line}\n" for line in lines)


def is_too_new_for(name):
    before = SCENARIOS[name].before
    return before is not None and sys.version_info >= before


def check(name):
    """True if the scenario still does what its committed trace says."""
    path = TRACES / f"{name}.trace"
    committed = path.read_text() if path.exists() else ""
    now = record(name)
    if now == committed:
        return True
    sys.stdout.writelines(
        difflib.unified_diff(
            committed.splitlines(keepends=True), now.splitlines(keepends=True), f"{name} (committed)", f"{name} (now)"
        )
    )
    return False


def main(arguments):
    if "--list" in arguments:
        for name, known in SCENARIOS.items():
            print(f"{name}: {known.references}: {known.description}")
        return 0
    checking = "--check" in arguments
    names = [argument for argument in arguments if not argument.startswith("-")] or list(SCENARIOS)
    for name in [name for name in names if is_too_new_for(name)]:
        print(f"{name} is skipped: this CPython does something else")
        names.remove(name)
    if checking:
        wrong = [name for name in names if not check(name)]
        known = {path.stem for path in TRACES.glob("*.trace")}
        orphans = sorted(known - set(SCENARIOS))
        for name in orphans:
            print(f"{name}.trace belongs to no scenario")
        print(f"{len(names) - len(wrong)} of {len(names)} traces are reproduced")
        return 1 if wrong or orphans else 0
    TRACES.mkdir(exist_ok=True)
    for name in names:
        (TRACES / f"{name}.trace").write_text(record(name))
    print(f"recorded {len(names)} traces with CPython {sys.version.split()[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
