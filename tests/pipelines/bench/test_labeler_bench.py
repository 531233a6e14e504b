"""The labeler bench: its figures against numbers worked by hand."""

import asyncio
from math import isclose, isnan
from random import Random
from typing import Any, Literal

import numpy as np
import pytest
from fakes import EqualGrader, KnownPolicy, a_solution, solved
from judgments import judged

from stepforge.labelers import ChangePoint, MathShepherd, OmegaPRM
from stepforge.labelers.evidence.replay import solved_part
from stepforge.pipelines.bench.bench import EACH, pictured
from stepforge.pipelines.bench.cases import (
    BenchProblem,
    NotRecorded,
    Outcome,
    RecordedGrader,
    RecordedPolicy,
    base_rate,
    bench_problem,
    replay,
    two_parts,
)
from stepforge.pipelines.bench.controls import controls
from stepforge.pipelines.bench.measure import all_comparisons, figures, holm, primary_comparison, raw_figures, sums
from stepforge.pipelines.bench.settings import Primary, Setting
from stepforge.pipelines.bench.values import ValueEstimate, coverage_curve, value_figures
from stepforge.pipelines.reports.charts import Bar
from stepforge.pipelines.reports.label_accuracy import Judged
from stepforge.schemas.labeled import Cost, LabeledProblem, Verdict
from stepforge.schemas.rollout import SUPPLIED, PeopleLabel, Rollout, Start, Step


def recording() -> LabeledProblem:
    row = solved(a_solution("good", "abcd", "correct"), a_solution("bad", "ABCDEF", "wrong"))
    policy = KnownPolicy(lambda prefix: 0.02 if prefix.startswith("A\nB\nC\n") else 0.6)
    return asyncio.run(MathShepherd(k=12, root=6)(row, policy, EqualGrader(), seed=1))


def test_a_recording_gives_what_was_drawn_and_charges_for_it() -> None:
    row = recording()
    part = MathShepherd(k=12)
    again = asyncio.run(part(solved_part(row), RecordedPolicy(row, seed=4), RecordedGrader(row), seed=4))
    assert [s.verdict for s in again.solutions] == [s.verdict for s in row.solutions]
    assert [s.labels for s in again.solutions] == [s.labels for s in row.solutions]
    fewer = asyncio.run(
        OmegaPRM(k=3, grow=False)(solved_part(row), RecordedPolicy(row, 4), RecordedGrader(row), seed=4)
    )
    known = {r.id: r.outcome for r in row.evidence}
    assert all(known[r.id] == r.outcome for r in fewer.evidence)
    assert fewer.costs[0].cost.rollouts == len(fewer.evidence) == len({r.id for r in fewer.evidence})


def test_seeds_shuffle_a_recording_and_what_is_missing_is_an_error() -> None:
    row = recording()
    steps = row.solutions[1].rollout.steps

    def drawn(seed: int) -> list[str]:
        rollouts = asyncio.run(RecordedPolicy(row, seed).sample(row.problem, steps[:2], n=6, seed=0))
        return [r.id for r in rollouts]

    assert drawn(1) == drawn(1) != drawn(2)
    more = asyncio.run(RecordedPolicy(row, 1).sample(row.problem, steps[:2], n=30, seed=0))
    assert len({r.id for r in more}) == 30
    with pytest.raises(NotRecorded, match="no completions of 6 steps"):
        asyncio.run(RecordedPolicy(row, 1).sample(row.problem, steps, n=1, seed=0))


def a_problem_of(rollouts: int, tokens: int, prompt: int, cached: int) -> BenchProblem:
    one = a_solution("s", "ab", "wrong").model_copy(
        update={"tokens": tokens, "prompt_tokens": prompt, "cached_tokens": cached}
    )
    row = recording().model_copy(
        update={
            "solutions": tuple(recording().solutions[0].model_copy(update={"rollout": one}) for _ in range(rollouts))
        }
    )
    return BenchProblem(row, (), "f", "plain", ("all",))


def test_figures_by_hand() -> None:
    problems = [a_problem_of(3, 10, 8, 2), a_problem_of(2, 10, 8, 2)]
    spent = Cost(rollouts=6, generated_tokens=60, prompt_tokens=50, cached_prompt_tokens=40)
    one = Outcome((judged(1, 1), judged(2, 1), judged(None, None, correct=True)), spent)
    two = Outcome((judged(0, 1), judged(None, 1, correct=True)), Cost(rollouts=4, generated_tokens=40))
    total = sums([[one, two]], problems)
    found = figures(total, np.ones((1, 2)))
    assert isclose(found["first_error_accuracy"], 1 / 3, abs_tol=1e-4)
    assert found["correct_solution_accuracy"] == 1.0
    assert isclose(found["f1_wrong_answers"], 0.5, abs_tol=1e-4)
    assert isclose(found["f1_all_erroneous"], 2 * 0.25 / 1.25, abs_tol=1e-4)  # one of four erroneous
    assert found["right_answer_wrong_step_recall"] == 0.0
    assert found["right_answer_wrong_step_precision"] is None
    assert found["abstained"] == 0.0
    assert found["rollouts_per_solution"] == 2.0
    assert found["generated_tokens_per_solution"] == (60 + 40) / 5
    assert found["uncached_tokens_per_solution"] == (60 + 40 + 10) / 5
    assert found["total_tokens_per_solution"] == (60 + 40 + 10 + 5 * (10 + 6)) / 5
    only_two = raw_figures(total, np.array([[0.0, 1.0]]))
    assert only_two["first_error_accuracy"][0] == 0.0
    assert isnan(only_two["correct_solution_accuracy"][0])
    twice = figures(sums([[one, two], [one, two]], problems), np.ones((1, 2)))
    assert twice == found


def test_a_bootstrap_interval_is_as_wide_as_theory_says() -> None:
    """200 problems of one wrong solution, half named exactly: the standard error is sqrt(0.25 / 200) = 0.0354."""
    problem = a_problem_of(1, 1, 0, 0)
    outcomes = [Outcome((judged(1 if i % 2 else 0, 1),), Cost()) for i in range(200)]
    drawn = np.random.default_rng(0).multinomial(200, np.full(200, 1 / 200), size=2000).astype(float)
    found = figures(sums([outcomes], [problem] * 200), np.vstack([np.ones(200), drawn]))
    low, high = found["first_error_accuracy_interval"]
    assert isclose(high - low, 2 * 1.96 * 0.0354, abs_tol=0.012)


def test_the_stated_comparison_is_paired_and_with_the_most_accurate_rival() -> None:
    problem = a_problem_of(1, 100, 0, 0)
    right, wrong = judged(1, 1), judged(0, 1)
    named = {
        "ours": [right] * 90 + [wrong] * 10,
        "strong": [right] * 80 + [wrong] * 20,
        "weak": [right] * 50 + [wrong] * 50,
    }
    spent = {"ours": Cost(generated_tokens=50), "strong": Cost(generated_tokens=100), "weak": Cost()}
    totals = {
        (name, 1.0): sums([[Outcome((j,), spent[name]) for j in found]], [problem] * 100)
        for name, found in named.items()
    }
    drawn = np.random.default_rng(0).multinomial(100, np.full(100, 1 / 100), size=1000).astype(float)
    weights = np.vstack([np.ones(100), drawn])
    at = {name: Setting(labeler=name, at=1.0) for name in named}
    found = primary_comparison(totals, weights, Primary(labeler=at["ours"], rivals=(at["weak"], at["strong"])))
    assert found["rival"] == "strong"
    assert found["difference"] == pytest.approx(0.1)
    assert found["token_ratio"] == 0.75
    # Ten of a hundred differ, all one way: the paired standard error is 0.03, unpaired it would be 0.05.
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * 0.03, abs=0.02)
    others = all_comparisons(totals, weights, ("strong", 1.0))
    assert {row["labeler"] for row in others} == {"ours", "weak"}
    assert all(row["p_holm"] >= row["p"] for row in others)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06]
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_base_rate_is_not_that_of_the_labeled_solutions() -> None:
    row = recording()
    root = [r.outcome for r in row.evidence if r.start is not None and r.start.steps == 0]
    assert len(root) == 4  # six in all, two of them the solutions
    assert base_rate(row) == root.count("correct") / 4
    alone = row.model_copy(update={"evidence": tuple(r for r in row.evidence if r.start and r.start.steps)})
    assert base_rate(alone) == 0.5


def test_a_problem_without_truth_or_without_completions_is_left_out() -> None:
    assert bench_problem(recording()) is None


def test_peoples_verdicts_are_the_truth_of_supplied_solutions() -> None:
    """Two of three solutions are judged; the policy's own ones say how able it is."""
    own = tuple(a_solution(f"own{i}", "xy", "correct" if i else "wrong") for i in range(4))
    given = [
        a_solution("good", "abcd", "correct"),
        a_solution("bad", "ABCDEF", "wrong"),
        a_solution("odd", "AX", "wrong"),
    ]
    labels = (PeopleLabel(first_error=None), PeopleLabel(first_error=3), None)
    rollouts = tuple(r.model_copy(update={"people": p, "tokens": 0}) for r, p in zip(given, labels, strict=True))
    row = solved(*rollouts)
    row = row.model_copy(update={"policy": row.policy.model_copy(update={"model": SUPPLIED}), "own": own})
    policy = KnownPolicy(lambda prefix: 0.02 if prefix.startswith("A\nB\nC\nD\n") else 0.9)
    labeled = asyncio.run(MathShepherd(k=24, right_solutions=False)(row, policy, EqualGrader(), seed=1))
    problem = bench_problem(labeled)
    assert problem is not None
    assert problem.wording == "prose"
    assert base_rate(labeled) == 0.75
    assert problem.solving.rollouts == 7
    outcome = next(iter(replay(ChangePoint(sure=0.0), [problem], 1)))
    assert [j.truth.first_error for j in outcome.judged] == [None, 3]
    assert outcome.judged[1].exact
    assert 1 <= outcome.asked <= outcome.askable == 2


def test_one_problem_set_is_split_in_two_by_its_groups() -> None:
    problem = BenchProblem(recording(), (), "one", "prose", ("all",))
    several = [
        problem._replace(
            row=problem.row.model_copy(
                update={"problem": problem.row.problem.model_copy(update={"group": str(i // 2)})}
            )
        )
        for i in range(40)
    ]
    found = two_parts(several)
    assert {p.family for p in found} == {"one, half 1", "one, half 2"}
    assert all(a.family == b.family for a, b in zip(found[::2], found[1::2], strict=True))
    assert two_parts([problem, problem._replace(family="two")])[0].family == "one"


def stating(name: str, values: str, outcome: Literal["correct", "wrong"]) -> Rollout:
    steps = tuple(Step(text=f"q{i} = 1 = {value}\n", logprob=-0.1 * i) for i, value in enumerate(values))
    return a_solution(name, values, outcome).model_copy(update={"steps": steps})


def test_controls_by_hand() -> None:
    rollouts = [stating("a", "1234", "correct"), stating("b", "1274", "correct"), stating("c", "1234", "correct")]
    bad = stating("bad", "1275", "wrong")
    row = asyncio.run(MathShepherd(k=1)(solved(*rollouts, bad), KnownPolicy(lambda p: 1.0), EqualGrader(), seed=0))
    problem = BenchProblem(row, (), "f", "plain", ("all",))
    found = {name: opinion(problem, bad) for name, opinion in controls([problem], 1).items()}
    assert found["control: number that no right solution states"] == 3
    assert found["control: leaves right siblings"] == 3
    assert found["control: least expected step"] == 3
    assert found["control: random step"] in range(4)
    unsure = [a_solution(f"next{i}", "x", "correct") for i in range(2)]
    odd = [
        r.model_copy(
            update={"steps": (Step(text="x\n", token_ids=(1,), logprob=-2.0),), "start": Start(rollout="bad", steps=2)}
        )
        for r in unsure
    ]
    dense = problem._replace(row=row.model_copy(update={"evidence": (*row.evidence, *odd)}))
    assert controls([dense], 1)["control: highest entropy"](dense, bad) == 2


def test_the_coverage_curve_falls_where_sureness_means_something() -> None:
    rng = Random(2)
    cases = []
    for _ in range(4000):
        sure = rng.uniform(0.4, 1.0)
        j = judged(1 if rng.random() < sure else 0, 1)
        said = (1 - sure, sure, 0.0, 0.0) if j.verdict.first_error == 1 else (sure, 1 - sure, 0.0, 0.0)
        cases.append(Judged(j.verdict.model_copy(update={"posterior": said}), j.truth, j.answer_correct))
    found = coverage_curve([cases[i : i + 4] for i in range(0, 4000, 4)])
    assert found["solutions"] == 4000
    assert [band["gap"][0] < 0 < band["gap"][1] for band in found["bands"]] == [True] * 3
    cautious = [[j._replace(verdict=j.verdict.model_copy(update={"posterior": (0.25, 0.75)}))] for j in cases]
    (band,) = coverage_curve([one for one in cautious if one[0].exact])["bands"]
    assert (band["accuracy"], band["gap"]) == (1.0, [0.25, 0.25])
    first, last = found["curve"][0], found["curve"][-1]
    assert first["accuracy"] > 0.92 > 0.75 > last["accuracy"]
    assert all(abs(point["accuracy"] - point["said"]) < 0.04 for point in found["curve"])
    assert found["right_answers"] == []


def test_a_lower_threshold_flags_fewer_right_answers() -> None:
    cases = []
    for none, error in ((0.2, 1), (0.45, 1), (0.45, None), (0.65, None), (0.95, 1)):
        said = Verdict(labeler="x", first_error=None, posterior=(0.0, 1 - none, none))
        cases.append(Judged(said, Verdict(labeler="oracle", first_error=error), answer_correct=True))
    curve = {one["threshold"]: (one["recall"], one["precision"]) for one in coverage_curve([cases])["right_answers"]}
    assert (curve[0.3], curve[0.5], curve[0.7]) == ((0.3333, 1.0), (0.6667, 0.6667), (0.6667, 0.5))


def test_value_figures_take_the_noise_of_the_truth_away() -> None:
    """Estimates that are V itself have no error beyond that of the reference; worse ones show their own."""
    rng, made = Random(1), []
    for _ in range(3000):
        v, trials = rng.random(), 40
        truth = sum(rng.random() < v for _ in range(trials)) / trials
        off = min(1.0, max(0.0, v + rng.choice((-0.2, 0.2))))
        made.append(ValueEstimate(v, off, v, (v - 0.13, v + 0.13), (0.0, 1.0), truth, trials, rng.random()))
    found = value_figures(made)
    assert abs(found["raw_squared_error"]) < 0.0006
    assert 0.025 < found["smoothed_squared_error"] < 0.042
    assert isclose(found["raw_brier"], 1 / 6, abs_tol=0.01)  # the floor: the mean of V (1 - V)
    assert found["raw_coverage_90"] == 1.0
    assert 0.85 < found["believed_coverage_90"] < 0.99
    assert 0.85 < found["foretold_90"] < 0.95
    assert found["raw_ece"] < 0.02


def test_the_picture_has_every_setting_cheapest_first() -> None:
    def row(labeler: str, tokens: float, **more: Any) -> dict[str, Any]:
        shown = {"labeler": labeler, "setting": 4.0, "wording": "free", "stratum": "all", "left_out": EACH}
        figures = {"first_error_accuracy": 0.5, "first_error_accuracy_interval": [0.4, 0.6]}
        return shown | figures | {"total_tokens_per_solution": tokens} | more

    rows = [row("b", 9000.0), row("a", 5.0, setting=None, first_error_accuracy_interval=None), row("c", 1, stratum="x")]
    assert pictured(rows, "free") == [Bar("a", 0.5, None, None, "5"), Bar("b, 4", 0.5, 0.4, 0.6, "9,000")]
