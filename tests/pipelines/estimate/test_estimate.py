"""What a pilot is made of and measures, and the command, beside the run that it forecast."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from command_line import refused, stepforge
from pilot_runs import RUN, SETTINGS

from stepforge.pipelines.engines import ScriptedEngineSettings
from stepforge.pipelines.engines.scripted_engine import ScriptedEngine
from stepforge.pipelines.estimate.estimate import Estimate, PilotFacts, estimate_text
from stepforge.pipelines.estimate.pilot import Phase, Pilot, PilotWorker
from stepforge.pipelines.estimate.sample import draw
from stepforge.pipelines.estimate.speed import Call, StepTime, Trace, TracedEngine, mean_active, step_time
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.errors import BadInput
from stepforge.schemas.protocols import Completion, Prompt, Sampling

# The sample


def test_a_pilot_has_every_kind_in_its_proportion_and_is_the_same_each_time() -> None:
    sample = draw(RUN, 30)
    again = draw(RUN, 30)
    assert [i.problem.id for i in sample.items] == [i.problem.id for i in again.items]
    assert (sample.problems, sample.pooling, sample.whole) == (120, 20, True)
    everything = draw(RUN, 10_000)
    assert len(everything.items) == 120
    kinds = [(i.problem.source, i.problem.difficulty) for i in sample.items]
    for kind, count in Counter((i.problem.source, i.problem.difficulty) for i in everything.items).items():
        assert abs(kinds.count(kind) - count / 4) < 1.0 + 1e-9, kind
    assert sample.strata == len(set(kinds) | {(i.problem.source, i.problem.difficulty) for i in everything.items})


def test_a_pilot_mixes_problem_sets_with_families(tmp_path: Path) -> None:
    rows = [{"q": f"What is {i} + 1?", "a": str(i + 1), "s": f"It is {i + 1}."} for i in range(60)]
    rows += [{"q": "What is 7 + 1?", "a": "8", "s": "8"}, {"q": "What is 8 + 1?", "a": "8", "s": "8"}]
    (tmp_path / "set.jsonl").write_text("\n".join(map(json.dumps, rows)))
    problem_set = {"kind": "problem_set", "path": str(tmp_path / "set.jsonl"), "question": "q", "answer": "a"}
    settings = SETTINGS | {"problems": 60, "generate": [SETTINGS["generate"][0], problem_set | {"solution": "s"}]}
    settings["generate"][1]["on_bad_row"] = "reject"
    sample = draw(RunFile.model_validate(settings), 30)
    counts = Counter(item.problem.source for item in sample.items)
    assert sample.problems == 120
    assert abs(counts["set"] - 15) <= 1
    assert all(item.solutions for item in sample.items if item.problem.source == "set")
    assert not any(item.solutions for item in sample.items if item.problem.source == "sequence")


def test_duplicates_of_the_whole_run_are_known_in_the_pilot(tmp_path: Path) -> None:
    rows = [{"id": i, "q": f"What is {i % 20} + 1?", "a": "1"} for i in range(40)]
    (tmp_path / "set.jsonl").write_text("\n".join(map(json.dumps, rows)))
    part = {"kind": "problem_set", "path": str(tmp_path / "set.jsonl"), "question": "q", "answer": "a", "id": "id"}
    sample = draw(RunFile.model_validate(SETTINGS | {"problems": 0, "generate": [part]}), 40)
    assert len(sample.duplicate_of) == 20
    assert all(int(copy.split(":")[1]) == int(first.split(":")[1]) + 20 for copy, first in sample.duplicate_of.items())


def test_a_large_run_is_looked_at_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepforge.pipelines.estimate.sample.LOOKED_AT", 40)
    sample = draw(RUN, 10)
    assert (sample.problems, sample.whole, len(sample.items)) == (120, False, 10)


# The time of an engine


def calls(time: StepTime, *, noise: float = 0.0) -> list[Call]:
    rng = Random(1)
    found = []
    for _ in range(240):
        tokens, running = rng.randint(5, 200), rng.uniform(1, 60)
        seconds = time.request_seconds(1, tokens, running) * (1 + rng.gauss(0, noise))
        found.append(Call(tokens, seconds, running))
    return found


@pytest.mark.parametrize(
    "time", [StepTime(0.02, 0.01, 0.0005), StepTime(0.3, 0.0, 0.0), StepTime(0.0, 0.004, 0.002)], ids=str
)
def test_a_steps_time_is_found_again(time: StepTime) -> None:
    assert step_time(calls(time)) == pytest.approx(time, abs=1e-6)
    noisy = step_time(calls(time, noise=0.2))
    assert noisy.request_seconds(1, 100, 40) == pytest.approx(time.request_seconds(1, 100, 40), rel=0.1)
    assert min(noisy) >= 0
    assert step_time([]) == (0, 0, 0)


def test_the_wall_clock_follows_littles_law() -> None:
    time = StepTime(call=0.1, step=0.01, row=0.001)
    # 1,000 rollouts of 50 tokens hold their places 0.1 + 50 (0.01 + 0.001 x 20) = 1.6 s each, 40 of them at a time
    seconds = time.wall_seconds(1000, 50_000, running=20, engines=2, capacity=100)
    assert seconds == pytest.approx(1000 * 1.6 / 40)
    assert time.wall_seconds(1000, 50_000, running=500, engines=2, capacity=20) == pytest.approx(seconds)
    assert time.wall_seconds(0, 0, running=20, engines=2, capacity=100) == 0.0


def test_slots_wait_for_their_slowest_problem() -> None:
    assert mean_active([2.0], problems=40, rows_per_shard=5, slots=4, rng=Random(1)) == pytest.approx(20)
    assert mean_active([2.0], problems=5, rows_per_shard=5, slots=4, rng=Random(1)) == pytest.approx(5)
    halves = mean_active([0.0, 1.0], problems=100_000, rows_per_shard=10, slots=1, rng=Random(1))
    assert halves == pytest.approx(5, rel=0.02)
    assert mean_active([1.0], problems=0, rows_per_shard=5, slots=4, rng=Random(1)) == 0.0


class Slow(ScriptedEngine):
    """Takes as many tenths of a second as its prompt has characters."""

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        await asyncio.sleep(len(prompt.text) / 10)
        return Completion(text="x", finish="stop", tokens=len(prompt.text))


def test_a_trace_knows_with_how_many_a_request_shared_the_engine() -> None:
    async def both() -> list[Call]:
        engine = TracedEngine(Slow(ScriptedEngineSettings()), Trace())
        await asyncio.gather(*(engine.complete(Prompt(text=t), seed=1, sampling=Sampling()) for t in ("a", "abc")))
        return engine.trace.calls

    short, long = asyncio.run(both())
    assert (short.tokens, long.tokens) == (1, 3)
    assert short.running == pytest.approx(2.0, abs=0.2)
    assert long.running == pytest.approx(4 / 3, abs=0.25)
    phase = Phase([], [short, long], {"short": short.seconds, "long": long.seconds}, loop=0.0, failures=0)
    assert phase.parallel == pytest.approx(1.0)


# The pilot


async def measured(run: RunFile, count: int) -> Pilot:
    worker = PilotWorker(run)
    try:
        await worker.ready()
        return await worker.measure(draw(run, count))
    finally:
        await worker.close()


def test_a_pilot_measures_what_the_labelers_spend() -> None:
    run = RUN.model_copy(update={"solutions": 3})
    pilot = asyncio.run(measured(run, 16))
    assert len(pilot.problems) == 16
    assert all(p.solve.rollouts == 3 for p in pilot.problems)
    labeled = [p for p in pilot.problems if p.vetted]
    assert 0 < len(labeled) < 16
    assert all(set(p.label) == {"change_point", "omega_prm"} for p in labeled)
    assert all(p.label_pooling["omega_prm"] == p.label["omega_prm"] for p in labeled)
    assert any(p.label_pooling["change_point"] != p.label["change_point"] for p in labeled)
    assert all((p.labeled_steps > 0) == p.kept for p in pilot.problems)
    asked = sum(p.solve.rollouts + sum(c.rollouts for c in p.label.values()) for p in pilot.problems)
    assert len(pilot.calls) > asked
    again = asyncio.run(measured(run, 16))
    assert [p[:4] for p in again.problems] == [p[:4] for p in pilot.problems]


def test_a_pilot_without_pooling_labels_once() -> None:
    run = RunFile.model_validate(SETTINGS | {"label": [{"kind": "omega_prm"}]})
    pilot = asyncio.run(measured(run, 10))
    assert all(bool(p.label) == p.vetted and p.label_pooling == p.label for p in pilot.problems)
    asked = sum(p.solve.rollouts + sum(c.rollouts for c in p.label.values()) for p in pilot.problems)
    assert len(pilot.calls) == asked


# The command


@pytest.mark.parametrize(("engines", "said"), [(1, "on one engine in 6 s"), (4, "on one of 4 engines in 6 s")])
def test_the_pilot_says_where_it_ran(engines: int, said: str) -> None:
    facts = PilotFacts(problems=36, strata=1, vetted=34, kept=34, failures=0, startup_seconds=1, seconds=6, running=1)
    found = Estimate(problems=60, pooling_problems=0, engines=engines, running=1, pilot=facts, figures={}, notes=())
    assert said in estimate_text(found).splitlines()[0]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_forecast_of_a_run_and_the_run(tmp_path: Path) -> None:
    run_file = tmp_path / "run.toml"
    run_file.write_text(RUN.toml())
    result = stepforge(
        "estimate", run_file, "--problems-in-pilot", "40", "--price-per-engine-hour", "2", "--json", cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    estimate = json.loads(result.stdout)
    assert [path.name for path in tmp_path.iterdir()] == ["run.toml"]
    assert any("starting the engine took" in note for note in estimate["notes"])
    assert any("20 of the problems are labeled with default rates" in note for note in estimate["notes"])
    finished = stepforge("run", run_file, "--out", tmp_path / "out", cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    ledger = json.loads((tmp_path / "out" / "ledger.json").read_text())
    actual = {f"total.{name}": value for name, value in ledger["total"].items()}
    actual |= {"rows.kept": ledger["stages"]["curate"]["rows_out"]}
    actual |= {"rows.labeled_steps": ledger["stages"]["curate"]["labeled_steps"]}
    actual |= {"rows.vetted": ledger["stages"]["vet"]["rows_out"]}
    for name, value in actual.items():
        figure = estimate["figures"][name]
        assert figure["low"] <= value <= figure["high"], (name, figure, value)


def test_bad_requests_are_one_line(tmp_path: Path) -> None:
    assert "no such run file" in refused("estimate", tmp_path / "none.toml")
    missing = {"problems": 0, "generate": [{"kind": "problem_set", "path": "no.jsonl"}]}
    with pytest.raises(BadInput, match=r"no\.jsonl"):
        draw(RunFile.model_validate(SETTINGS | missing), 3)
