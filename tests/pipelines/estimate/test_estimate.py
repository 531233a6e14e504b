"""The forecast of a run: which problems a pilot takes, how its costs are scaled, and how near it comes."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from stepforge.pipelines.engines import ScriptedEngineSettings, VllmEngineSettings
from stepforge.pipelines.estimate.estimate import computed_together
from stepforge.pipelines.estimate.estimate_text import amount
from stepforge.pipelines.estimate.forecast import Plan, forecast
from stepforge.pipelines.estimate.pilot_problem import PilotProblem
from stepforge.pipelines.estimate.pilot_run import Pilot, _measure, pilot_engines
from stepforge.pipelines.estimate.pilot_worker import PilotWorker
from stepforge.pipelines.estimate.sample import draw
from stepforge.pipelines.estimate.shape import Geometry, mean_active
from stepforge.pipelines.estimate.speed import StepTime, moments, parallel, wall_seconds
from stepforge.pipelines.estimate.trace import Call, Trace
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import Cost
from stepforge.schemas.protocols import Completion

SETTINGS: dict[str, Any] = {
    "seed": 3,
    "problems": 120,
    "solutions": 4,
    "rows_per_shard": 10,
    "generate": [{"kind": "sequence"}, {"kind": "quantities", "weight": 2}],
    "engine": {"kind": "scripted", "error_rate": 0.15},
    "policy": {"answer": "stated"},
    "vet": [{"kind": "duplicates"}, {"kind": "difficulty", "min_pass_rate": 0.6}],
    "label": [{"kind": "change_point", "pilot": 20}, {"kind": "omega_prm", "search_limit": 6}],
    "curate": [{"kind": "decided"}],
    "export": [{"kind": "stepwise"}],
}
RUN = RunFile.model_validate(SETTINGS)


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


def calls(time: StepTime, *, problems: int = 12, noise: float = 0.0) -> list[Call]:
    rng = Random(1)
    found = []
    for i in range(problems * 20):
        tokens, running = rng.randint(5, 200), rng.uniform(1, 60)
        seconds = time.request_seconds(1, tokens, running) * (1 + rng.gauss(0, noise))
        found.append(Call(f"p{i % problems}", tokens, seconds, running))
    return found


@pytest.mark.parametrize(
    "time", [StepTime(0.02, 0.01, 0.0005), StepTime(0.3, 0.0, 0.0), StepTime(0.0, 0.004, 0.002)], ids=str
)
def test_a_steps_time_is_found_again(time: StepTime) -> None:
    sums = moments(calls(time))
    assert sums.fit(np.ones(12)) == pytest.approx(time, abs=1e-6)
    noisy = moments(calls(time, noise=0.2)).fit(np.ones(12))
    assert noisy.request_seconds(1, 100, 40) == pytest.approx(time.request_seconds(1, 100, 40), rel=0.1)
    assert min(noisy) >= 0


def test_the_wall_clock_follows_littles_law() -> None:
    time = StepTime(call=0.1, step=0.01, row=0.001)
    # 1,000 rollouts of 50 tokens hold their places 0.1 + 50 (0.01 + 0.001 x 20) = 1.6 s each, 40 of them at a time
    seconds = wall_seconds(time, 1000, 50_000, running=20, engines=2, capacity=100)
    assert seconds == pytest.approx(1000 * 1.6 / 40)
    assert wall_seconds(time, 1000, 50_000, running=500, engines=2, capacity=20) == pytest.approx(seconds)
    assert wall_seconds(time, 0, 0, running=20, engines=2, capacity=100) == 0.0


def test_slots_wait_for_their_slowest_problem() -> None:
    assert mean_active([2.0], Geometry(problems=40, rows_per_shard=5, slots=4), Random(1)) == pytest.approx(20)
    assert mean_active([2.0], Geometry(problems=5, rows_per_shard=5, slots=4), Random(1)) == pytest.approx(5)
    halves = mean_active([0.0, 1.0], Geometry(problems=100_000, rows_per_shard=10, slots=1), Random(1))
    assert halves == pytest.approx(5, rel=0.02)
    assert mean_active([1.0], Geometry(problems=0, rows_per_shard=5, slots=4), Random(1)) == 0.0


def test_a_trace_knows_whose_request_it_was_and_who_was_there() -> None:
    async def completion(seconds: float, tokens: int) -> list[Completion]:
        await asyncio.sleep(seconds)
        return [Completion(text="x", finish="stop", tokens=tokens)]

    async def work(trace: Trace, name: str, seconds: float, tokens: int) -> None:
        with trace.problem(name):
            await trace.ask(completion(seconds, tokens))

    async def both() -> list[Call]:
        trace = Trace()
        await asyncio.gather(work(trace, "short", 0.1, 5), work(trace, "long", 0.3, 9))
        return trace.calls

    short, long = asyncio.run(both())
    assert (short.problem, short.tokens, long.problem, long.tokens) == ("short", 5, "long", 9)
    assert short.running == pytest.approx(2.0, abs=0.2)
    assert long.running == pytest.approx(4 / 3, abs=0.25)
    assert parallel([short, long], 0.4) == pytest.approx(1.0, abs=0.2)


# The forecast


def spent(tokens: float) -> Cost:
    rollouts = int(tokens / 10)
    return Cost(rollouts=rollouts, generated_tokens=10 * rollouts, prompt_tokens=40 * rollouts)


def problem(i: int, rng: Random, *, pooling: float = 1.0) -> PilotProblem:
    kept = rng.random() < 0.8
    size = rng.lognormvariate(5, 1)
    label = {"change_point": spent(size), "omega_prm": spent(3 * size)} if kept else {}
    before = label | {"change_point": spent(pooling * size)} if kept else {}
    return PilotProblem(
        id=str(i),
        solve=spent(400),
        label=(label,) if kept else (),
        label_pooling=before,
        solve_seconds=1.0,
        label_seconds=size / 100 if kept else 0.0,
        vetted=kept,
        kept=kept,
        labelled_steps=12 if kept else 0,
    )


def a_pilot(problems: Sequence[PilotProblem]) -> Pilot:
    time = StepTime(0.0, 0.01, 0.0)
    found = [Call(p.id, 10, time.request_seconds(1, 10, 8), 8.0) for p in problems for _ in range(20)]
    return Pilot([*problems], found, 4.0, 2.0, 1, 5.0, 20.0, 0.0, 0)


PLAN = Plan(problems=500, pooling=0, rows_per_shard=10, shards_in_flight=4, engines=1, capacity=1000)


def test_totals_are_the_pilots_means_and_prices_their_ratios() -> None:
    rng = Random(5)
    problems = [problem(i, rng) for i in range(40)]
    found = forecast(a_pilot(problems), PLAN, seed=1, price=3.6)
    mean = sum(p.solve.rollouts + sum(c.rollouts for by in p.label for c in by.values()) for p in problems) / 40
    assert found["total.rollouts"].estimate == pytest.approx(500 * mean)
    assert found["solve.rollouts"] == pytest.approx(found["solve.rollouts"].model_copy(update={"estimate": 20_000}))
    kept = sum(p.kept for p in problems) / 40
    assert found["rows.kept"].estimate == pytest.approx(500 * kept)
    assert found["per_kept_row.rollouts"].estimate == pytest.approx(mean / kept)
    assert found["per_labelled_step.rollouts"].estimate == pytest.approx(mean / kept / 12)
    assert found["money"].estimate == pytest.approx(found["seconds"].estimate / 1000)
    assert found["engine_hours"].estimate == pytest.approx(found["seconds"].estimate / 3600)
    for figure in found.values():
        assert figure.low <= figure.estimate <= figure.high


def test_problems_that_the_rates_come_from_cost_what_they_cost_under_the_defaults() -> None:
    problems = [problem(i, Random(i), pooling=3.0) for i in range(40)]
    plain = forecast(a_pilot(problems), PLAN, seed=1)
    pooled = forecast(a_pilot(problems), PLAN._replace(pooling=100), seed=1)
    dear = plain["label: change_point.rollouts"].estimate * (400 + 3 * 100) / 500
    assert pooled["label: change_point.rollouts"].estimate == pytest.approx(dear, rel=0.02)
    assert pooled["label: omega_prm.rollouts"].estimate == plain["label: omega_prm.rollouts"].estimate


def test_rates_that_may_come_out_otherwise_widen_the_interval() -> None:
    one = [problem(i, Random(i)) for i in range(40)]
    cheap = [{"change_point": Cost(), "omega_prm": p.label[0]["omega_prm"]} if p.label else {} for p in one]
    two = [p._replace(label=(*p.label, c) if p.label else ()) for p, c in zip(one, cheap, strict=True)]
    sure, unsure = (forecast(a_pilot(ps), PLAN, seed=1)["label: change_point.rollouts"] for ps in (one, two))
    assert unsure.estimate == pytest.approx(sure.estimate / 2)
    assert (unsure.low, unsure.high > sure.estimate) == (0.0, True)


def test_intervals_hold_the_finished_run_about_as_often_as_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heavy-tailed costs, 36 problems for 300: a percentile bootstrap holds a little less than it says."""
    monkeypatch.setattr("stepforge.pipelines.estimate.forecast.REPLICATES", 200)
    monkeypatch.setattr("stepforge.pipelines.estimate.shape.SIMULATED", 20)
    plan, held = PLAN._replace(problems=300), 0
    for trial in range(50):
        rng = Random(trial)
        run = [problem(i, rng) for i in range(300)]
        found = forecast(a_pilot(rng.sample(run, 36)), plan, seed=trial)["total.generated_tokens"]
        actual = sum(p.solve.generated_tokens + sum(c.generated_tokens for c in p.label_pooling.values()) for p in run)
        held += found.low <= actual <= found.high
    assert 42 <= held <= 49


def test_nothing_kept_has_no_price() -> None:
    problems = [problem(i, Random(i))._replace(kept=False, labelled_steps=0) for i in range(10)]
    found = forecast(a_pilot(problems), PLAN, seed=1)
    assert found["rows.kept"].estimate == 0
    assert not any(name.startswith("per_") for name in found)


def test_nothing_vetted_is_forecast_as_such() -> None:
    nothing = {"vetted": False, "kept": False, "labelled_steps": 0, "label": (), "label_pooling": {}}
    problems = [problem(i, Random(i))._replace(**nothing) for i in range(10)]
    found = forecast(a_pilot(problems), PLAN, seed=1)
    assert found["rows.vetted"].high == 0
    assert found["total.rollouts"].estimate == found["solve.rollouts"].estimate == 20_000


def test_no_engine_is_faster_than_its_workers_own_thread() -> None:
    problems = [problem(i, Random(i)) for i in range(20)]
    pilot = a_pilot(problems)
    slow = pilot._replace(loop_seconds=0.5 * len(pilot.calls))
    found = forecast(slow, PLAN, seed=1)
    assert found["seconds"].estimate == pytest.approx(found["total.rollouts"].estimate * 0.5, rel=1e-6)


def test_how_many_an_engine_computes_together() -> None:
    assert computed_together(VllmEngineSettings(max_num_seqs=64)) == 64
    assert computed_together(VllmEngineSettings()) == 256
    assert computed_together(ScriptedEngineSettings()) > 10_000


# The pilot


class InProcess:
    """A worker without Ray."""

    def __init__(self, run: RunFile) -> None:
        self.worker = PilotWorker(run)

    async def call(self, method: str, *arguments: Any) -> Any:
        return await getattr(self.worker, method)(*arguments)


async def measured(run: RunFile, count: int, engines: int = 2) -> Pilot:
    workers = [InProcess(run) for _ in range(engines)]
    try:
        for worker in workers:
            await worker.call("ready")
        return await _measure(run, draw(run, count), workers, 0.0)  # type: ignore[arg-type]
    finally:
        for worker in workers:
            await worker.call("close")


def test_a_pilot_measures_what_the_labelers_spend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepforge.pipelines.estimate.pilot_run.RATES_DRAWN", 2)
    run = RUN.model_copy(update={"solutions": 3})
    pilot = asyncio.run(measured(run, 16))
    assert len(pilot.problems) == 16
    assert all(p.solve.rollouts == 3 for p in pilot.problems)
    labelled = [p for p in pilot.problems if p.vetted]
    assert 0 < len(labelled) < 16
    assert all(len(p.label) == 2 and set(p.label[0]) == {"change_point", "omega_prm"} for p in labelled)
    assert all(p.label_pooling["omega_prm"] == p.label[0]["omega_prm"] for p in labelled)
    assert any(p.label_pooling["change_point"] != p.label[0]["change_point"] for p in labelled)
    assert all((p.labelled_steps > 0) == p.kept for p in pilot.problems)
    asked = sum(p.solve.rollouts + sum(c.rollouts for c in p.label[0].values()) for p in pilot.problems if p.label)
    assert len(pilot.calls) > asked
    assert pilot.engines == 2
    on_one_engine = asyncio.run(measured(run, 16, engines=1))
    assert [p[:4] for p in on_one_engine.problems] == [p[:4] for p in pilot.problems]


def test_a_pilot_without_pooling_labels_once() -> None:
    run = RunFile.model_validate(SETTINGS | {"label": [{"kind": "omega_prm"}]})
    pilot = asyncio.run(measured(run, 10, engines=1))
    assert all(len(p.label) == p.vetted for p in pilot.problems)
    assert len(pilot.calls) == sum(
        p.solve.rollouts + sum(c.rollouts for by in p.label for c in by.values()) for p in pilot.problems
    )


def test_a_pilot_starts_no_more_engines_than_it_keeps_busy() -> None:
    run = RUN.model_copy(update={"workers": RUN.workers.model_copy(update={"engine": 8})})
    assert pilot_engines(run, draw(run, 30)) == 3
    assert pilot_engines(run, draw(run, 4)) == 1


# The command


def stepforge(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stepforge", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, cwd=cwd)


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
    assert any("starting the engines took" in note for note in estimate["notes"])
    assert any("20 of the problems are labelled under default rates" in note for note in estimate["notes"])
    finished = stepforge("run", run_file, "--out", tmp_path / "out", cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    ledger = json.loads((tmp_path / "out" / "ledger.json").read_text())
    actual = {f"total.{name}": value for name, value in ledger["total"].items()}
    actual |= {"rows.kept": ledger["stages"]["curate"]["rows_out"]}
    actual |= {"rows.labelled_steps": ledger["stages"]["curate"]["labelled_steps"]}
    actual |= {"rows.vetted": ledger["stages"]["vet"]["rows_out"]}
    for name, value in actual.items():
        figure = estimate["figures"][name]
        assert figure["low"] <= value <= figure["high"], (name, figure, value)


def test_bad_requests_are_one_line(tmp_path: Path) -> None:
    result = stepforge("estimate", tmp_path / "none.toml", cwd=tmp_path)
    assert result.returncode == 2
    assert "no such run file" in result.stderr
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(BadInput):
        draw(
            RunFile.model_validate(
                SETTINGS | {"problems": 0, "generate": [{"kind": "problem_set", "path": "no.jsonl"}]}
            ),
            3,
        )


def test_figures_in_words() -> None:
    assert [amount(v) for v in (0.01234, 5.678, 999, 1234.5, 12_345_678)] == [
        "0.0123",
        "5.68",
        "999",
        "1,230",
        "12,300,000",
    ]
