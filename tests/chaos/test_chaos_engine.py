"""Whatever an engine does, it ends in rows, in failures that are counted, or in one line; never in a negative label."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chaos import run
from chaos_runs import report_of, write_run
from faulty_engine import Faults, FaultyEngine
from server_runs import labeled_rows

from stepforge.labelers.evidence.replay import stored_evidence
from stepforge.labelers.evidence.store import solution_trajectory
from stepforge.labelers.labeling import labels_of
from stepforge.pipelines.engines import ScriptedEngineSettings, TransformersEngineSettings
from stepforge.pipelines.engines.gate import STUCK_REQUESTS, EngineGate, limit_of
from stepforge.pipelines.engines.scripted_engine import ScriptedEngine
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.protocols import Prompt, Sampling
from stepforge.schemas.rollout import Rollout

PROMPT = Prompt(text="A sequence starts with 3. Each next term is 2 times the term before plus 1. Find term 6.\n")
SAMPLING = Sampling(max_tokens=400)


def rollouts_of(row: LabeledProblem) -> list[Rollout]:
    return [*(solution.rollout for solution in row.solutions), *row.evidence]


def check_books(folder: Path) -> None:
    before = None
    for stage in report_of(folder)["stages"].values():
        assert before in (None, stage["rows_in"])
        lost = sum(stage["rejected"].values()) + sum(stage["failures"].values())
        before = stage["rows_out"]
        assert stage["rows_in"] == before + lost


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rollout]:
    """What an engine without faults answers, by rollout."""
    folder = tmp_path_factory.mktemp("clean")
    run(write_run(folder, problems=16), folder / "out")
    check_books(folder / "out")
    return {rollout.id: rollout for row in labeled_rows(folder / "out") for rollout in rollouts_of(row)}


def check_labels(row: LabeledProblem) -> None:
    """Check that every label counts the evidence that is kept, and that nothing without a verdict is called wrong."""
    evidence = stored_evidence(row)
    for solution in row.solutions:
        if solution.rollout.outcome == "undetermined":
            assert solution.verdict.abstained
        counted = labels_of(solution_trajectory(solution.rollout), evidence)
        for label, known in zip(solution.labels, counted, strict=True):
            if label is not None and label.trials:
                assert known is not None
                assert (label.successes, label.failures) == (known.successes, known.failures)


FAULTS: dict[str, tuple[dict[str, float], Faults]] = {
    "hangs": ({"request_timeout": 0.5}, Faults(hang_rate=0.04)),
    "slow": ({"latency_ms": 4}, Faults(slow_rate=0.1)),
    "garbage": ({}, Faults(garbage_rate=0.15)),
    "all at once": (
        {"latency_ms": 1, "request_timeout": 0.5, "truncation_rate": 0.05, "failure_rate": 0.05},
        Faults(hang_rate=0.03, slow_rate=0.1, garbage_rate=0.05),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_makes_a_negative_label(
    clean: dict[str, Rollout], tmp_path: Path, fault: str, tell: Callable[[str], None]
) -> None:
    """Every rollout either is what a sound engine writes, with the same outcome, or has no verdict at all."""
    settings, faults = FAULTS[fault]
    run_file = write_run(tmp_path, problems=16, engine=settings, max_failure_share=1.0)
    run(run_file, tmp_path / "out", prepare=faults)
    check_books(tmp_path / "out")
    kept = same = undetermined = 0
    for row in labeled_rows(tmp_path / "out"):
        for rollout in rollouts_of(row):
            kept += 1
            same += rollout == clean.get(rollout.id)
            undetermined += rollout.outcome == "undetermined"
            assert (rollout.finish != "stop") == (rollout.outcome == "undetermined")
            if rollout.outcome == "wrong":  # the engine came to its end, and its end is another number
                assert rollout.text.splitlines()[-1] == f"Answer: {rollout.answer}"
                assert rollout.answer not in (None, row.problem.answer)
        check_labels(row)
    assert same > 0
    if fault == "slow":
        assert undetermined == 0
    else:
        assert undetermined > 0
    tell(f"engine {fault}: {kept} rollouts, {undetermined} without a verdict, none of them a negative label")


def gate_of(limit: float, faults: Faults, latency_ms: float = 0.0) -> EngineGate:
    return EngineGate(FaultyEngine(ScriptedEngineSettings(latency_ms=latency_ms), faults), 1000, limit)


@pytest.mark.anyio
async def test_hung_requests_are_given_up_at_their_limit_and_hold_up_nobody(tell: Callable[[str], None]) -> None:
    """A third of the requests hang. All others are through long before the first one is given up."""
    gate = gate_of(3.0, Faults(hang_rate=0.3), latency_ms=5)

    ended: list[str] = []

    async def ask(number: int) -> None:
        ended.append((await gate.ask(PROMPT, seed=number, sampling=SAMPLING)).completion.finish)

    await asyncio.gather(*(ask(i) for i in range(300)))
    hung = ended.count("error")
    assert 50 < hung < 150
    assert "error" not in ended[:-hung]
    assert gate.counters()["running"] == gate.counters()["waiting"] == 0
    tell(f"{hung} of {len(ended)} requests hang: given up at their limit, after all others were answered")


@pytest.mark.anyio
async def test_hung_requests_take_their_own_places_and_no_others(tell: Callable[[str], None]) -> None:
    """Three of 64 places hang: the other 61 are filled again and again until everybody is answered."""
    places, hung, rounds = 64, 3, 5
    beside: list[int] = []
    engine = ScriptedEngine(ScriptedEngineSettings())
    gate = EngineGate(engine, places, 60)
    complete, running = engine.complete, 0

    async def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal running
        if options["seed"] < 0:
            await asyncio.Event().wait()
        running += 1
        await asyncio.sleep(0)
        beside.append(running)
        running -= 1
        return await complete(*arguments, **options)

    engine.complete = counted  # type: ignore[method-assign]
    stuck = [asyncio.create_task(gate.ask(PROMPT, seed=-1 - i, sampling=SAMPLING)) for i in range(hung)]
    await asyncio.sleep(0)
    answers = await asyncio.gather(
        *(gate.ask(PROMPT, seed=i, sampling=SAMPLING) for i in range(rounds * (places - hung)))
    )
    for task in stuck:
        task.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)
    assert {answer.completion.finish for answer in answers} == {"stop"}
    assert max(beside) == places - hung
    tell(f"{hung} of {places} requests hang: the others have {max(beside)} places")


@pytest.mark.anyio
async def test_a_few_hung_requests_at_the_end_are_no_death() -> None:
    gate = gate_of(0.05, Faults(hang_rate=1.0))
    for _ in range(STUCK_REQUESTS - 1):
        answer = await gate.ask(PROMPT, seed=1, sampling=SAMPLING)
        assert answer.completion.error == "no answer within 0.05 s; aborted"


def test_engines_that_keep_time_themselves_get_their_limit_first() -> None:
    assert limit_of(TransformersEngineSettings(request_timeout=30)) == 90
    assert limit_of(TransformersEngineSettings(request_timeout=None)) is None
    assert limit_of(ScriptedEngineSettings(request_timeout=2.0)) == 2.0


DEADLY: dict[str, tuple[dict[str, float], Faults, str]] = {
    "dead on start": ({}, Faults(dead_on_start=True), "dead on start"),
    "dies at once": ({}, Faults(dies_after=0), "dead after 0 requests"),
    "hangs for ever": ({"request_timeout": 0.1}, Faults(hang_rate=1.0), "the engine hangs"),
}


@pytest.mark.parametrize("fault", DEADLY)
def test_three_failed_restarts_stop_the_run_with_a_diagnosis(
    tmp_path: Path, fault: str, tell: Callable[[str], None]
) -> None:
    settings, faults, cause = DEADLY[fault]
    said = run(write_run(tmp_path, engine=settings), tmp_path / "out", expect=1, prepare=faults)
    (line,) = [line for line in said.splitlines() if line.startswith("stepforge: a worker died")]
    assert line.startswith("stepforge: a worker died 4 times in a row")
    assert cause in line
    assert "Traceback" not in said
    assert len(list((tmp_path / "out" / "problems").glob("*.parquet"))) == 3
    assert not list((tmp_path / "out" / "solved").glob("*.parquet"))
    tell(f"engine {fault}: {line[:110]}…")


def test_an_engine_that_dies_now_and_then_changes_nothing(tmp_path: Path, clean: dict[str, Rollout]) -> None:
    """Between two deaths something is committed, so it is never the third failed restart in a row."""
    run(write_run(tmp_path, problems=16), tmp_path / "out", prepare=Faults(dies_after=150))
    check_books(tmp_path / "out")
    assert {r.id: r for row in labeled_rows(tmp_path / "out") for r in rollouts_of(row)} == clean
