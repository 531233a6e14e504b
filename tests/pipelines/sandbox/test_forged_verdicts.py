"""Wrong programs that try to be called right: none is, and a right one still is."""

import asyncio
import subprocess
import sys

import pytest
from forgeries import FOOLS_A_NAIVE_HARNESS, FORGERIES, RIGHT, TESTS

from stepforge.pipelines.sandbox.sandbox import Ruling, Sandbox
from stepforge.schemas.verifier import UnitTests

VERIFIER = UnitTests(tests=TESTS, entry_point="f", seconds=30)


def rulings(programs: list[str], verifier: UnitTests = VERIFIER) -> list[Ruling]:
    async def ask() -> list[Ruling]:
        async with Sandbox() as sandbox:
            asked = [sandbox.ask(verifier, {"solution": program}) for program in programs]
            return await asyncio.gather(*map(asyncio.wrap_future, asked))

    return asyncio.run(ask())


def test_no_wrong_program_is_called_right() -> None:
    assert len(FORGERIES) > 50
    found = dict(zip(FORGERIES, rulings([*FORGERIES.values()]), strict=True))
    assert {name: ruling for name, ruling in found.items() if ruling.outcome == "correct"} == {}
    # What a program does by itself is wrong; where its process dies, nobody knows.
    assert found["always None"].outcome == found["sys.exit"].outcome == found["recursion"].outcome == "wrong"
    assert found["exit code 0"].outcome == found["a crash"].outcome == "undetermined"
    assert rulings([RIGHT])[0] == Ruling("correct", "")


@pytest.mark.slow
@pytest.mark.parametrize("name", FOOLS_A_NAIVE_HARNESS)
def test_some_of_them_pass_where_program_and_tests_share_a_process(name: str) -> None:
    program = "import sys\ntry:\n    exec(sys.argv[1])\nexcept AssertionError:\n    sys.exit(1)"
    done = subprocess.run(
        [sys.executable, "-c", program, f"{FORGERIES[name]}\n{TESTS}"], capture_output=True, timeout=60
    )
    assert done.returncode == 0
