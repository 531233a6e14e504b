"""Stepwise rows: labels from verdicts, values from beliefs or counts; and splits."""

import asyncio

import pytest
from exported_rows import labeled
from fakes import EqualGrader, KnownPolicy, a_solution, solved

from stepforge.labelers import ChangePoint, MathShepherd, OmegaPRM
from stepforge.pipelines.datasets.splits import split_of
from stepforge.pipelines.exports import Stepwise
from stepforge.pipelines.exports.marked import measured
from stepforge.schemas.labeled import Belief, StepLabel


def test_stepwise_labels_are_right_until_the_first_error_and_end_there() -> None:
    good, bad = Stepwise().rows(labeled(MathShepherd(k=8)))
    assert good.labels == (True, True, True)
    assert (good.first_error, good.final_answer_correct) == (-1, True)
    assert bad.completions == ("A", "B", "C")
    assert bad.labels == (True, True, False)
    assert bad.first_error == 2
    assert bad.trials == (8, 8, 8)
    assert bad.successes[2] == 0
    assert bad.values[2] == 0.0
    assert bad.high[2] == pytest.approx(0.3244, abs=1e-4)
    assert bad.colors == "\N{LARGE GREEN SQUARE}\N{LARGE GREEN SQUARE}\N{LARGE RED SQUARE}"


def test_steps_behind_the_error_can_be_kept_as_wrong() -> None:
    _, bad = Stepwise(after_first_error="wrong").rows(labeled(OmegaPRM(k=8)))
    assert bad.labels == (True, True, False, False, False, False)


def test_abstentions_are_not_exported() -> None:
    row = solved(a_solution("bad", "ABCDEF", "wrong"))
    problem = asyncio.run(OmegaPRM()(row, KnownPolicy(lambda prefix: 0.5), EqualGrader(), seed=1))
    assert list(Stepwise().rows(problem)) == []


def test_values_come_from_the_belief_or_from_a_fixed_number_of_completions() -> None:
    belief = Belief(value=0.4, low=0.2, high=0.6, p_error=0.1)
    fixed = StepLabel(successes=3, failures=5)
    assert measured(fixed) == (0.375, *fixed.interval)  # type: ignore[misc]
    assert measured(fixed.model_copy(update={"belief": belief, "stopping": "adaptive"})) == (0.4, 0.2, 0.6)
    assert measured(fixed.model_copy(update={"stopping": "first_success"})) is None
    assert measured(StepLabel(successes=0, failures=0)) is None
    assert measured(None) is None


def test_stepwise_says_where_its_values_come_from() -> None:
    row = solved(a_solution("good", "abc", "correct"), a_solution("bad", "ABCDEF", "wrong"))
    policy = KnownPolicy(lambda prefix: 0.0 if prefix.startswith("A\nB\n") else 0.9)
    problem = asyncio.run(ChangePoint(fit_problems=0)(row, policy, EqualGrader(), seed=1))
    rows = list(Stepwise().rows(problem))
    assert {row.values_from for row in rows} == {"belief"}
    assert all(None not in row.values and None not in row.low for row in rows)
    assert {row.values_from for row in Stepwise().rows(labeled(OmegaPRM()))} == {"counts"}


def test_splits_go_by_group_and_never_move() -> None:
    groups = [f"group-{i}" for i in range(2000)]
    tests = sum(split_of(group, 0.1) == "test" for group in groups)
    assert 140 < tests < 260
    moved = [g for g in groups if split_of(g, 0.1) == "test" and split_of(g, 0.2) == "train"]
    assert not moved
