"""Totals, prices and intervals from a pilot's problems."""

from collections.abc import Sequence
from random import Random

import pytest

from stepforge.pipelines.engines import ScriptedEngineSettings, VllmEngineSettings
from stepforge.pipelines.estimate.estimate import amount, computed_together
from stepforge.pipelines.estimate.forecast import RunSize, forecast
from stepforge.pipelines.estimate.pilot import Pilot, PilotProblem
from stepforge.pipelines.estimate.speed import Call, StepTime
from stepforge.schemas.labeled import Cost

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
        label=label,
        label_pooling=before,
        solve_seconds=1.0,
        label_seconds=size / 100 if kept else 0.0,
        vetted=kept,
        kept=kept,
        labeled_steps=12 if kept else 0,
    )


def a_pilot(problems: Sequence[PilotProblem]) -> Pilot:
    time = StepTime(0.0, 0.01, 0.0)
    found = [Call(10, time.request_seconds(1, 10, 8), 8.0)] * 20 * len(problems)
    return Pilot([*problems], found, 4.0, 2.0, 5.0, 20.0, 0.0, 0)


SIZE = RunSize(problems=500, pooling=0, rows_per_shard=10, shards_in_flight=4, engines=1, capacity=1000)


def test_totals_are_the_pilots_means_and_prices_their_ratios() -> None:
    rng = Random(5)
    problems = [problem(i, rng) for i in range(40)]
    found = forecast(a_pilot(problems), SIZE, seed=1, price=3.6)
    mean = sum(p.solve.rollouts + sum(c.rollouts for c in p.label.values()) for p in problems) / 40
    assert found["total.rollouts"].estimate == pytest.approx(500 * mean)
    assert found["solve.rollouts"] == pytest.approx(found["solve.rollouts"].model_copy(update={"estimate": 20_000}))
    kept = sum(p.kept for p in problems) / 40
    assert found["rows.kept"].estimate == pytest.approx(500 * kept)
    assert found["per_kept_row.rollouts"].estimate == pytest.approx(mean / kept)
    assert found["per_labeled_step.rollouts"].estimate == pytest.approx(mean / kept / 12)
    assert found["money"].estimate == pytest.approx(found["seconds"].estimate / 1000)
    assert found["engine_hours"].estimate == pytest.approx(found["seconds"].estimate / 3600)
    for figure in found.values():
        assert figure.low <= figure.estimate <= figure.high


def test_problems_that_the_rates_come_from_cost_what_they_cost_under_the_defaults() -> None:
    problems = [problem(i, Random(i), pooling=3.0) for i in range(40)]
    plain = forecast(a_pilot(problems), SIZE, seed=1)
    pooled = forecast(a_pilot(problems), SIZE._replace(pooling=100), seed=1)
    dear = plain["label: change_point.rollouts"].estimate * (400 + 3 * 100) / 500
    assert pooled["label: change_point.rollouts"].estimate == pytest.approx(dear, rel=0.02)
    assert pooled["label: omega_prm.rollouts"].estimate == plain["label: omega_prm.rollouts"].estimate


@pytest.mark.slow
def test_intervals_hold_the_finished_run_about_as_often_as_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heavy-tailed costs, 36 problems for 300: a percentile bootstrap holds a little less than it says."""
    monkeypatch.setattr("stepforge.pipelines.estimate.forecast.REPLICATES", 200)
    monkeypatch.setattr("stepforge.pipelines.estimate.speed.SIMULATED", 20)
    size, held = SIZE._replace(problems=300), 0
    for trial in range(50):
        rng = Random(trial)
        run = [problem(i, rng) for i in range(300)]
        found = forecast(a_pilot(rng.sample(run, 36)), size, seed=trial)["total.generated_tokens"]
        actual = sum(p.solve.generated_tokens + sum(c.generated_tokens for c in p.label_pooling.values()) for p in run)
        held += found.low <= actual <= found.high
    assert 42 <= held <= 49


def test_nothing_vetted_costs_its_solutions_and_has_no_price() -> None:
    nothing = {"vetted": False, "kept": False, "labeled_steps": 0, "label": {}, "label_pooling": {}}
    problems = [problem(i, Random(i))._replace(**nothing) for i in range(10)]
    found = forecast(a_pilot(problems), SIZE, seed=1)
    assert found["rows.vetted"].high == found["rows.kept"].estimate == 0
    assert found["total.rollouts"].estimate == found["solve.rollouts"].estimate == 20_000
    assert not any(name.startswith("per_") for name in found)


def test_no_engine_is_faster_than_its_workers_own_thread() -> None:
    problems = [problem(i, Random(i)) for i in range(20)]
    pilot = a_pilot(problems)
    slow = pilot._replace(loop_seconds=0.5 * len(pilot.calls))
    found = forecast(slow, SIZE, seed=1)
    assert found["seconds"].estimate == pytest.approx(found["total.rollouts"].estimate * 0.5, rel=1e-6)


def test_how_many_an_engine_computes_together() -> None:
    assert computed_together(VllmEngineSettings(max_num_seqs=64)) == 64
    assert computed_together(VllmEngineSettings()) == 256
    assert computed_together(ScriptedEngineSettings()) > 10_000


def test_figures_in_words() -> None:
    assert [amount(v) for v in (0.01234, 5.678, 999, 1234.5, 12_345_678)] == [
        "0.0123",
        "5.68",
        "999",
        "1,230",
        "12,300,000",
    ]
