"""Advantages, ratios and SCAN's band on rows made by hand."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from fakes import verdict_of
from rule_rows import Count, found, labeled, view

from stepforge.labelers.rules import UNMEASURED, Advantage, RelativeProgress, Scan, View
from stepforge.schemas.labeled import Verdict

# Differences and ratios.


def test_advantages_by_hand() -> None:
    seen = found(Advantage(), (8, 0), (7, 1), (1, 7), (0, 8))
    assert seen.targets == (0.5, -0.125, -0.75, -0.125, 0.0)
    assert seen.verdict == verdict_of("advantage", 2)
    # The first of two equal losses
    assert found(Advantage(), (6, 2), (4, 4), (2, 6), (0, 8)).verdict.first_error == 1
    # Lost with the first step: V falls from the base rate
    assert found(Advantage(), (0, 8), (0, 8)) == View((-0.5, 0.0, 0.0), verdict_of("advantage", 0))


def test_an_advantage_without_a_base_rate_abstains() -> None:
    brought = labeled([(4, 4), (0, 8)])
    brought = brought.model_copy(update={"rollout": brought.rollout.model_copy(update={"tokens": 0})})
    assert view(Advantage(), brought) == View((None, -0.5, 0.0), _unmeasured("advantage"))


def test_a_solution_that_loses_nothing_has_no_error_by_advantage() -> None:
    seen = found(Advantage(), (5, 3), (6, 2), outcome="correct")
    assert seen.targets == (0.125, 0.125, 0.25)
    assert seen.verdict == verdict_of("advantage")


def test_relative_progress_by_hand() -> None:
    # 1.0, 0.875, 0.6, 0 over what stood before, the first over the base rate of one half
    seen = found(RelativeProgress(), (8, 0), (7, 1), (6, 4), (0, 8))
    assert seen.targets == pytest.approx((1.0, 0.875, 0.6 / 0.875, 0.0, 0.0))
    assert seen.verdict == verdict_of("relative_progress", 2)
    assert found(RelativeProgress(least=0.6), (8, 0), (7, 1), (6, 4), (0, 8)).verdict.first_error == 3
    assert found(RelativeProgress(least=0.9), (8, 0), (7, 1), (6, 4), (0, 8)).verdict.first_error == 1
    assert found(RelativeProgress(), (4, 4), (8, 0), outcome="correct") == View(
        (1.0, 1.0, 1.0), verdict_of(RelativeProgress().kind)
    )


def test_a_ratio_of_exactly_the_least_is_enough() -> None:
    assert found(RelativeProgress(least=0.5), (8, 0), (4, 4), (0, 8)).verdict.first_error == 2


def test_relative_progress_from_zero_is_zero_or_nothing() -> None:
    assert found(RelativeProgress(), (4, 4), (0, 8), (8, 0)).targets == (1.0, 0.0, None, 0.0)
    partly = found(RelativeProgress(), None, (4, 4), (0, 8), (0, 8))
    assert partly.targets == (None, None, 0.0, 0.0, 0.0)
    assert partly.verdict == _unmeasured("relative_progress")


def _unmeasured(rule: str) -> Verdict:
    return Verdict(labeler=rule, first_error=None, abstained=True, reason=UNMEASURED)


@pytest.mark.parametrize("rule", [Advantage(), RelativeProgress()], ids=repr)
def test_differences_and_ratios_take_posterior_means_where_drawing_was_not_fixed(
    rule: Advantage | RelativeProgress,
) -> None:
    seen = found(rule, (1, 0), (1, 3), stopping="first_success").targets
    values = (0.5, 2 / 3, 2 / 6, 0.0)
    expected = [b - a if isinstance(rule, Advantage) else min(1.0, b / a) for a, b in pairwise(values)]
    assert seen == pytest.approx(tuple(expected))


# SCAN's corrected labels.

SCANNED = [(8, 0), (6, 2), (2, 6), (0, 8), None]


def scan(verdict: Verdict, counts: Sequence[Count] = SCANNED, tolerance: int = 2) -> View:
    solution = labeled(counts, verdict=verdict)
    return view(Scan(tolerance=tolerance), solution, labeled([], "correct", name="other"))


def test_scan_by_hand() -> None:
    # Base rate 1/2: 6/8 is more than all of it, 2/8 half of it
    assert scan(verdict_of("sequential", 3)) == View((1.0, 1.0, 0.5, 0.0, None, None), verdict_of("scan", 3))
    assert scan(verdict_of("sequential", 2)).targets == (1.0, 1.0, 0.0, None, None, None)
    assert scan(verdict_of("sequential", 3), tolerance=0).targets == (1.0, 1.0, 1.0, 0.0, None, None)
    assert scan(verdict_of("sequential", 0)).targets == (0.0, None, None, None, None, None)
    assert scan(verdict_of("sequential", 5), tolerance=3).targets == (1.0, 1.0, 0.5, 0.0, None, 0.0)
    quarter = labeled([(1, 7), (1, 7)], verdict=verdict_of("sequential", 2))
    wrong = labeled([], "wrong", name="b")
    right = [labeled([], "correct", name=name) for name in "cd"]
    assert view(Scan(), quarter, wrong, *right).targets == (0.25, 0.25, 0.0)


def test_scan_under_another_stopping_rule() -> None:
    solution = labeled([(1, 0), (1, 7), (0, 8)], stopping="first_success", verdict=verdict_of("sequential", 2))
    seen = view(Scan(), solution, labeled([], "correct", name="other"))
    assert seen.targets == pytest.approx((1.0, 0.2 / 0.5, 0.0, None))


def test_scan_keeps_what_the_labeler_said() -> None:
    assert scan(verdict_of("sequential")) == View((1.0,) * 6, verdict_of("scan"))
    assert scan(verdict_of("sequential", abstained=True)) == View((None,) * 6, verdict_of("scan", abstained=True))
    sure = verdict_of("change_point", 3).model_copy(update={"posterior": (0.0,) * 7})
    assert scan(sure).verdict == verdict_of("scan", 3)


def test_scan_without_a_base_rate_says_nothing_near_the_error() -> None:
    solution = labeled(SCANNED, verdict=verdict_of("sequential", 3))
    assert view(Scan(), solution).targets == (1.0, None, None, 0.0, None, None)
