"""Servers that go away, or fail over single rows: what a run says, and that nothing is lost or wrong for it."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest
from chaos import run
from chaos_runs import contents
from loopback_server import Asked, LoopbackServer
from server_runs import FEW, write_run

SECONDS, SCALE = 60, 40
"""An outage, and how many times faster it and the back-off go where it is not waited for."""
OUTAGES, QUICK = 20, 3


def outage(number: int, scale: int, undisturbed: Any, folder: Path, away: LoopbackServer) -> str:
    """Run while the server is away once, at a random moment; check the run against an undisturbed one."""
    expected, requests = undisturbed
    away.mode = ("refuses", "answers 503", "hangs up")[number % 3]
    away.down_at, away.down_seconds = Random(number).randint(30, requests - 30), SECONDS / scale
    run_file = write_run(folder, away.address, size=FEW, backoff=0.5 / scale, patience=3600)
    said = run(run_file, folder / "out")
    assert contents(folder / "out") == expected
    assert "is down (" in said
    (waited,) = re.findall(r"is back after ([^\n]+)", said)
    return (
        f"outage {number} ({away.mode}, at request {away.down_at} of about {requests}; back after {waited}): the same"
    )


@pytest.mark.parametrize(
    "number", [*range(QUICK), *(pytest.param(number, marks=pytest.mark.slow) for number in range(QUICK, OUTAGES))]
)
def test_an_outage_costs_time_and_nothing_else(
    number: int, undisturbed: Any, tmp_path: Path, server: Any, tell: Callable[[str], None]
) -> None:
    """The run waits, says why, and ends in the same bytes: nothing is lost, nothing is wrong for it."""
    tell(outage(number, SCALE, undisturbed, tmp_path, server()))


@pytest.mark.soak
def test_outages_of_a_whole_minute(undisturbed: Any, tmp_path: Path, server: Any, tell: Callable[[str], None]) -> None:
    """The same with nothing scaled; side by side, since they mostly wait."""
    with ThreadPoolExecutor(OUTAGES) as runs:
        for line in runs.map(lambda n: outage(n, 1, undisturbed, tmp_path / str(n), server()), range(OUTAGES)):
            tell(line)


def test_a_server_that_stays_away_ends_the_run_with_the_reason_and_another_address_resumes_it(
    undisturbed: Any, tmp_path: Path, server: Any
) -> None:
    expected, requests = undisturbed
    away = server()
    away.down_at, away.down_seconds = requests // 2, 6.0
    out = tmp_path / "out"
    said = run(write_run(tmp_path, away.address, size=FEW, patience=1), out, expect=1)
    assert "has been down for" in said
    assert "run the same command to resume" in said
    run(write_run(tmp_path, server().address, size=FEW, backoff=0.5, patience=60), out)
    assert contents(out) == expected


def test_rows_that_a_server_failed_over_are_tried_again_by_the_same_command(
    undisturbed: Any, tmp_path: Path, server: Any
) -> None:
    """One problem gets 500 for all its requests: its row fails with the server's words, and is there the next time."""
    expected, _ = undisturbed
    out, hit = tmp_path / "out", dict[str, str]()

    def fails(asked: Asked) -> Any:
        """The first question is what the engine is tried with; the second one is hit."""
        tried = hit.setdefault("tried", asked.question)
        if asked.question == tried or hit.setdefault("question", asked.question) != asked.question:
            return asked.honest()
        return 500

    one = server(fails)
    run_file = write_run(tmp_path, one.address, size=FEW)
    said = run(run_file, out, expect=1)
    assert "1 of 12 rows could not be finished" in said
    assert "most often (1): EngineFailed: the server answered 500; sent 3 times" in said
    assert "fix the cause and run the same command to retry them" in said
    assert "max_failure_share = 0.01" in said
    hit["question"] = "mended"
    said = run(run_file, out)
    assert "1 rows failed for an outside reason; they are retried" in said
    assert contents(out) == expected
    assert len(one.sessions - {""}) >= 12
