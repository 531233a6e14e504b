"""Attacks on the isolation: none gets out, none stays, none takes more than its share."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from attacks import BOMBS, ESCAPES, SLOW_BOMBS, Attack

from stepforge.pipelines.sandbox.sandbox import Limits, Ran, Sandbox

LIMITS = Limits(seconds=20, memory=256 << 20, disk=4 << 20)


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No process outlives a sandbox, and no file that an attack would make is there."""
    monkeypatch.setenv("STEPFORGE_SECRET", "x")
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    yield
    after = {process.pid for process in psutil.Process().children(recursive=True)}
    assert after <= before
    assert not list(Path("/tmp").glob("stepforge-escaped*"))


def all_of(programs: dict[str, str], limits: Limits = LIMITS) -> dict[str, Ran]:
    async def run() -> dict[str, Ran]:
        async with Sandbox() as sandbox:
            await sandbox.check()
            ran = await asyncio.gather(*(sandbox.run(program, limits=limits) for program in programs.values()))
            assert (await sandbox.run("1 + 1")).value == "2"
        return dict(zip(programs, ran, strict=True))

    return asyncio.run(run())


def test_none_of_the_attacks_gets_out() -> None:
    """All of them are tried, and each one says by itself that it did not get through."""
    found = all_of({attack.name: attack.program for attack in ESCAPES})
    assert len(found) == len(ESCAPES) > 75
    assert {name: (ran.value, ran.error) for name, ran in found.items() if ran.value != "False"} == {}


@pytest.mark.slow
@pytest.mark.parametrize("attack", [attack for attack in ESCAPES if attack.harmless], ids=lambda attack: attack.name)
def test_the_attacks_get_through_where_there_is_no_barrier(attack: Attack) -> None:
    """An attack that cannot succeed anywhere would prove nothing."""
    *lines, last = attack.program.strip().split("\n")
    program = "\n".join([*lines, f"found = {last}", "import os", "os._exit(0 if found else 1)"])
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_bombs_end_at_a_bound() -> None:
    found = all_of(BOMBS)
    assert [name for name, ran in found.items() if ran.status == "done"] == []
    assert all(len(ran.output) <= LIMITS.output for ran in found.values())
    assert found["output"].status == found["memory"].status == "past_limit"


@pytest.mark.slow
def test_bombs_of_time_end_at_the_limit() -> None:
    found = all_of(SLOW_BOMBS, Limits(seconds=2))
    assert {ran.status for ran in found.values()} <= {"time_over", "died", "past_limit", "error"}
