"""Values of rules: the first loss, base rates, hard and soft labels, against definitions and by hand."""

from collections.abc import Sequence
from itertools import product

import pytest
from fakes import a_solution, verdict_of
from rule_rows import Count, a_row, found, labeled, root, view

from stepforge.labelers.rules import (
    UNMEASURED,
    Advantage,
    AnyRule,
    Hard,
    RelativeProgress,
    Soft,
    View,
    base_rate,
    first_loss,
    values_with_base,
)
from stepforge.schemas.labeled import StepLabel, Stopping
from stepforge.schemas.rollout import Start

# Where success ends.


def loss_by_definition(alive: Sequence[bool | None]) -> int | None:
    steps = len(alive)
    if all(alive):
        return steps
    for i in range(steps):
        if all(alive[:i]) and alive[i] is False:
            return i
    proven = max((i + 1 for i in range(steps) if alive[i]), default=0)
    if proven == steps:
        return steps
    return proven if alive[proven] is False else None


def test_the_first_loss_of_every_row_of_up_to_seven_steps() -> None:
    for steps in range(8):
        for alive in product((True, False, None), repeat=steps):
            assert first_loss(alive) == loss_by_definition(alive)


@pytest.mark.parametrize(
    ("alive", "loss"),
    [
        ([], 0),
        ([False], 0),
        ([True, False, True], 1),
        ([None, True, False, None, False], 2),
        ([None, True, None, False], None),
        ([None, False], None),
        ([None, False, True, False], 3),
        ([True, None, True], 3),
        ([None, None], None),
    ],
)
def test_the_first_loss_by_hand(alive: list[bool | None], loss: int | None) -> None:
    assert first_loss(alive) == loss


# Base rates.


def test_the_base_rate_counts_solutions_and_completions_of_the_question() -> None:
    solutions = [
        labeled([], "correct", name="a"),
        labeled([], "wrong", name="b"),
        labeled([], "undetermined", name="c"),
    ]
    further = a_solution("d", "x", "correct").model_copy(update={"start": Start(rollout="a", steps=1)})
    assert base_rate(a_row(*solutions)) == 0.5
    assert base_rate(a_row(*solutions, evidence=[further])) == 0.5
    drawn = [root("e", "correct"), root("f", "wrong"), root("g", "wrong"), root("h", "undetermined"), further]
    assert base_rate(a_row(*solutions, evidence=drawn)) == 0.4
    assert base_rate(a_row(solutions[2])) is None
    assert base_rate(a_row()) is None


def test_solutions_that_were_brought_along_do_not_count_for_the_base_rate() -> None:
    own = labeled([], "wrong")
    brought = own.model_copy(update={"rollout": own.rollout.model_copy(update={"tokens": 0})})
    assert base_rate(a_row(brought)) is None
    assert base_rate(a_row(brought, evidence=[root("a", "correct"), root("b", "wrong")])) == 0.5


def test_values_with_base_by_hand() -> None:
    solution = labeled([(3, 1), None, (0, 4)])
    row = a_row(solution, labeled([], "correct", name="other"))
    assert values_with_base(row, solution) == [0.5, 0.75, None, 0.0, 0.0]
    curtailed = labeled([(1, 2), (0, 8)], stopping="first_success")
    assert values_with_base(a_row(curtailed), curtailed) == [0.0, 0.4, 0.1, 0.0]


# Hard and soft.


def test_hard_labels_by_hand() -> None:
    assert found(Hard(), (3, 1), (1, 7), (0, 8), (1, 7)) == View((1.0, 1.0, 0.0, 1.0, 0.0), verdict_of("hard", 2))
    assert found(Hard(), (0, 8), (8, 0)) == View((0.0, 1.0, 0.0), verdict_of("hard", 0))
    assert found(Hard(), (1, 0), (2, 0)) == View((1.0, 1.0, 0.0), verdict_of("hard", 2))
    assert found(Hard(), (1, 0), (2, 0), outcome="correct") == View((1.0, 1.0, 1.0), verdict_of("hard"))
    # A bisection's evidence: success proves what stands before it
    assert found(Hard(), None, (1, 7), (0, 8), None) == View((None, 1.0, 0.0, None, 0.0), verdict_of("hard", 2))
    assert found(Hard(), None, None, None, outcome="correct") == View((None, None, None, 1.0), verdict_of("hard"))


def test_hard_labels_do_not_ask_how_drawing_stopped() -> None:
    for stopping in ("fixed", "first_success", "adaptive"):
        assert found(Hard(), (1, 3), (0, 4), stopping=stopping).targets == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("counts", [((3, 1), None, (0, 8)), (None, (0, 8)), ((1, 1), (0, 0), (0, 2)), (None,)])
@pytest.mark.parametrize("rule", [Hard(), Soft(), Soft(threshold=0.3), Advantage(), RelativeProgress()], ids=repr)
def test_missing_evidence_is_an_abstention(rule: AnyRule, counts: tuple[Count, ...]) -> None:
    verdict = found(rule, *counts).verdict
    assert (verdict.labeler, verdict.abstained, verdict.first_error) == (rule.kind, True, None)
    assert verdict.reason == UNMEASURED


def test_completions_without_a_verdict_are_no_zero() -> None:
    silent = labeled([(1, 1), (0, 0)])
    silent = silent.model_copy(
        update={"labels": (silent.labels[0], StepLabel(successes=0, failures=0, undetermined=8, truncated=8), None)}
    )
    assert view(Hard(), silent).targets == (1.0, None, None)
    assert view(Soft(), silent).targets == (0.5, None, None)
    assert view(Advantage(), silent, labeled([], "correct", name="o")).targets == (0.0, None, None)


def test_soft_labels_by_hand() -> None:
    assert found(Soft(), (6, 2), (1, 7), (0, 8)) == View((0.75, 0.125, 0.0, 0.0), verdict_of("soft", 2))
    assert found(Soft(threshold=0.125), (6, 2), (1, 7), (0, 8)).verdict.first_error == 1
    assert found(Soft(threshold=0.12), (6, 2), (1, 7), (0, 8)).verdict.first_error == 2
    assert found(Soft(), (6, 2), (1, 7), outcome="correct") == View((0.75, 0.125, 1.0), verdict_of("soft"))


@pytest.mark.parametrize("stopping", ["first_success", "adaptive"])
def test_soft_labels_under_another_stopping_rule_are_posterior_means(stopping: Stopping) -> None:
    # (c + 1) / (n + 2)
    seen = found(Soft(), (1, 0), (1, 3), (0, 8), stopping=stopping)
    assert seen.targets == pytest.approx((2 / 3, 2 / 6, 1 / 10, 0.0))
    assert seen.verdict == verdict_of("soft", 2)
    nothing = found(Soft(), (1, 0), (0, 0), stopping=stopping)
    assert nothing.targets == pytest.approx((2 / 3, None, 0.0))


def test_a_soft_verdict_and_its_targets_compare_the_same_values() -> None:
    seen = found(Soft(threshold=0.3), (1, 0), (1, 3), (0, 8), stopping="first_success")
    assert seen.targets[1] is not None
    assert seen.targets[1] > 0.3
    assert seen.verdict.first_error == 2
