"""How many small executions a second the isolation gives: ``python -m benchmarks.sandbox``.

Beside wall-clock figures stands the processor time of one execution, which says what a calm machine would give:
cores divided by it. ``sandlock`` (``pip install sandlock``) is measured where it is installed.
"""

import asyncio
import os
import resource
import sys
import time
from collections.abc import Callable, Coroutine
from importlib.util import find_spec

from stepforge.pipelines.sandbox.sandbox import Sandbox
from stepforge.schemas.verifier import UnitTests

COUNT, PROCESSES = 600, 2
PROGRAM = "def f(x):\n    return x * x\n"
TESTS = UnitTests(tests="assert f(2) == 4\nassert f(3) == 9\nassert f(-1) == 1", entry_point="f", seconds=30)


def main() -> None:
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {PROCESSES} at a time")
    print("| what | executions/s | processor ms each | cores / processor time |\n|---|---|---|---|")
    _row("run a program", COUNT, _ran)
    _row("test a program (two processes)", COUNT, _tested)
    if find_spec("sandlock"):
        _row("run a program, sandlock", COUNT // 10, _in_sandlock)


def _row(name: str, count: int, work: Callable[[int, int], Coroutine[None, None, None]]) -> None:
    began, used = time.monotonic(), _processor()
    asyncio.run(work(1, PROCESSES))
    start, used_to_start = time.monotonic() - began, _processor() - used
    began, used = time.monotonic(), _processor()
    asyncio.run(work(count, PROCESSES))
    each = (_processor() - used - used_to_start) / count
    rate = count / (time.monotonic() - began - start)
    print(f"| {name} | {rate:.0f} | {1000 * each:.1f} | {(os.cpu_count() or 1) / each:.0f} |")


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


async def _ran(count: int, processes: int) -> None:
    async with Sandbox(processes) as sandbox:
        found = await asyncio.gather(*(sandbox.run(f"{PROGRAM}f(5)") for _ in range(count)))
    assert {ran.value for ran in found} == {"25"}


async def _tested(count: int, processes: int) -> None:
    async with Sandbox(processes) as sandbox:
        asked = [sandbox.ask(TESTS, {"question": "", "solution": PROGRAM, "kept": {}}) for _ in range(count)]
        found = await asyncio.gather(*map(asyncio.wrap_future, asked))
    assert {ruling.outcome for ruling in found} == {"correct"}


async def _in_sandlock(count: int, processes: int) -> None:
    from sandlock import Sandbox as Sandlock

    turns = asyncio.Semaphore(processes)
    readable = ["/usr", "/lib", "/lib64", "/bin", "/etc", sys.base_prefix]

    async def one() -> None:
        async with turns:
            sandbox = Sandlock(fs_readable=readable, clean_env=True, max_memory="512M", max_processes=1)
            command = [sys.executable, "-I", "-S", "-c", f"{PROGRAM}print(f(5))"]
            done = await asyncio.to_thread(sandbox.run, command, timeout=30)
            assert done.stdout == b"25\n", done

    await asyncio.gather(*(one() for _ in range(count)))


if __name__ == "__main__":
    main()
