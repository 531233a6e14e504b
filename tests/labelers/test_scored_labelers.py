"""Labelers that read a reward model's scores; numbers worked out by hand."""

import asyncio
from typing import Any

import pytest
from fakes import EqualGrader, KnownPolicy, a_solution, solved

from stepforge.labelers import Cascade, ChangePoint, MathShepherd, RewardModel, label_with_all
from stepforge.labelers.cascade import FOR_A_PERSON
from stepforge.labelers.contracts import PooledLabeler
from stepforge.labelers.evidence.replay import solved_part, stored_evidence
from stepforge.labelers.reward_model import UNSCORED, Calibration, first_error_chances, logit
from stepforge.schemas.labeled import Cost, LabeledProblem
from stepforge.schemas.rollout import Outcome, Rollout

SURE = (0.99, 0.02, 0.5)
UNSURE = (0.6, 0.55, 0.5)


def _scored(name: str, letters: str, outcome: Outcome, scores: tuple[float, ...]) -> Rollout:
    return a_solution(name, letters, outcome).model_copy(update={"scores": scores})


def _labeled(part: Any, *rollouts: Rollout, value: Any = lambda prefix: 0.5) -> tuple[LabeledProblem, KnownPolicy]:
    policy = KnownPolicy(value)
    return asyncio.run(part(solved(*rollouts), policy, EqualGrader(), seed=1)), policy


def test_first_errors_follow_by_the_chain_rule() -> None:
    assert first_error_chances([0.9, 0.5, 0.8]) == pytest.approx([0.1, 0.45, 0.09, 0.36])


def test_a_wrong_answer_speaks_against_no_error() -> None:
    row, policy = _labeled(
        RewardModel(sure=0),
        _scored("r", "ABC", "correct", (0.9, 0.5, 0.8)),
        _scored("w", "ABC", "wrong", (0.9, 0.5, 0.8)),
    )
    right, wrong = (s.verdict for s in row.solutions)
    assert right.posterior == pytest.approx((0.1, 0.45, 0.09, 0.36))
    whole = 0.1 + 0.45 + 0.09 + 0.02 * 0.36
    assert wrong.posterior == pytest.approx((0.1 / whole, 0.45 / whole, 0.09 / whole, 0.0072 / whole))
    assert (right.first_error, wrong.first_error) == (1, 1)
    assert row.costs[0].cost == Cost() and not policy.asked


def test_a_calibration_moves_the_probabilities() -> None:
    halved = Calibration(slope=0.5, intercept=-1.0)
    assert halved.probability(0.5) == pytest.approx(1 / (1 + 2.718281828459045))
    assert halved.probability(1.0) < 1 and logit(0.0) > -20
    (plain,) = _labeled(RewardModel(sure=0), _scored("r", "AB", "correct", (0.9, 0.9)))[0].solutions
    (moved,) = _labeled(RewardModel(sure=0, calibration=halved), _scored("r", "AB", "correct", (0.9, 0.9)))[0].solutions
    assert (plain.verdict.first_error, moved.verdict.first_error) == (None, 0)


def test_without_scores_or_outcome_it_abstains() -> None:
    row, _ = _labeled(RewardModel(), a_solution("u", "AB", "wrong"), _scored("t", "AB", "undetermined", (0.1, 0.1)))
    assert [s.verdict.abstained for s in row.solutions] == [True, True]
    assert row.solutions[0].verdict.reason == UNSCORED


def test_a_cascade_asks_only_about_what_is_open() -> None:
    part = Cascade(tiers=(MathShepherd(k=4),), sure=0.9)
    row, policy = _labeled(
        part,
        _scored("sure", "ABC", "wrong", SURE),
        _scored("open", "XYZ", "wrong", UNSURE),
        value=lambda prefix: 0.0 if "Y" in prefix else 1.0,
    )
    sure, open_one = (s.verdict for s in row.solutions)
    assert (sure.first_error, open_one.first_error) == (1, 1)
    assert {v.labeler for v in (sure, open_one)} == {"cascade"}
    assert policy.asked and not any(prefix.startswith("A") for prefix in policy.asked)
    assert row.solutions[0].labels == (None, None, None) and row.solutions[1].labels[0] is not None
    assert [entry.labeler for entry in row.costs] == ["cascade: math_shepherd"]
    assert row.costs[0].cost.rollouts == sum(policy.asked.values()) == len(row.evidence)


def test_completions_that_two_tiers_ask_for_are_paid_once() -> None:
    part = Cascade(tiers=(ChangePoint(budget=9, surprise=False, sure=0.99), MathShepherd(k=6)), sure=0.99)
    row, policy = _labeled(part, _scored("w", "XYZ", "wrong", UNSURE), value=lambda prefix: 0.3)
    spent = [entry.cost.rollouts for entry in row.costs]
    assert [entry.labeler for entry in row.costs] == ["cascade: change_point", "cascade: math_shepherd"]
    assert sum(spent) == len(row.evidence) < sum(policy.asked.values())
    assert min(spent) > 0


def test_a_cascade_that_is_sure_of_all_asks_nothing() -> None:
    row, policy = _labeled(Cascade(), _scored("a", "ABC", "wrong", SURE), _scored("b", "AB", "correct", (0.99, 0.98)))
    assert not policy.asked and row.evidence == ()
    assert [s.verdict.first_error for s in row.solutions] == [1, None]


def test_what_the_last_tier_is_not_sure_of_goes_to_a_person() -> None:
    asked = {"tiers": (ChangePoint(budget=0),), "sure": 0.99}
    left, _ = _labeled(Cascade(person=True, **asked), _scored("o", "XYZ", "wrong", UNSURE))
    stands, _ = _labeled(Cascade(**asked), _scored("o", "XYZ", "wrong", UNSURE))
    assert left.solutions[0].verdict.abstained and left.solutions[0].verdict.reason == FOR_A_PERSON
    assert left.solutions[0].verdict.posterior is not None
    assert stands.solutions[0].verdict.reason != FOR_A_PERSON


def test_a_cascade_over_change_point_pools_its_rates_and_concludes_the_same() -> None:
    part = Cascade(tiers=(ChangePoint(fit_problems=5, surprise=False),), sure=0.9)
    assert isinstance(part, PooledLabeler) and part.fit_problems == 5
    rollouts = (_scored("sure", "ABC", "wrong", SURE), _scored("open", "XYZW", "wrong", (*UNSURE, 0.5)))
    row, _ = _labeled(part, *rollouts, value=lambda prefix: 0.05 if "Y" in prefix else 0.9)
    again = part.conclude(solved_part(row), stored_evidence(row))
    assert [s.verdict for s in again.solutions] == [s.verdict for s in row.solutions]
    assert again.costs == row.costs
    assert type(part.fitted_rates([row])) is type(part.rates)


def test_scores_as_a_prior_move_the_posterior_and_save_completions() -> None:
    def value(prefix: str) -> float:
        return 0.02 if "B" in prefix else 0.9

    told = _scored("w", "ABCD", "wrong", (0.995, 0.01, 0.9, 0.9))
    plain, asked = _labeled(ChangePoint(surprise=False), told, value=value)
    prior, fewer = _labeled(ChangePoint(surprise=False, prior="reward_model"), told, value=value)
    assert prior.solutions[0].verdict.first_error == plain.solutions[0].verdict.first_error == 1
    assert sum(fewer.asked.values()) < sum(asked.asked.values())


def test_all_parts_of_a_run_take_scores_along() -> None:
    rollouts = (_scored("sure", "ABC", "wrong", SURE),)
    parts = [MathShepherd(k=2), RewardModel(), Cascade()]
    row = asyncio.run(label_with_all(parts, solved(*rollouts), KnownPolicy(lambda prefix: 0.5), EqualGrader(), seed=1))
    assert row.solutions[0].rollout.scores == SURE
    assert [v.labeler for v in row.solutions[0].others] == ["reward_model", "cascade"]
