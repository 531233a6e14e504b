"""Pairs at first errors: a shared prefix, intervals apart, evened over a run; and the part that draws on for them."""

import asyncio

import pytest
from exported_rows import labeled
from fakes import EqualGrader, KnownPolicy, a_solution, solved
from pydantic import ValidationError
from scripted_rows import scripted_rows

from stepforge.labelers import ChangePoint, Contrast, OmegaPRM
from stepforge.labelers.evidence.siblings import fork_of
from stepforge.labelers.evidence.tree import EvidenceTree
from stepforge.pipelines.exports import EXPORTS, Pairwise, Preference, Reflection, StepDPO, StepPreference
from stepforge.pipelines.reports.label_accuracy import truths_of
from stepforge.pipelines.reports.label_audit import PairAudit
from stepforge.schemas.interval import beta_interval
from stepforge.schemas.rollout import Rollout


def test_beta_intervals_by_hand() -> None:
    # Beta(1, 1) is flat; the distribution function of Beta(1, 9) is 1 - (1 - x)^9.
    assert beta_interval(0, 0) == pytest.approx((0.05, 0.95), abs=1e-9)
    assert beta_interval(0, 8) == pytest.approx((1 - 0.95 ** (1 / 9), 1 - 0.05 ** (1 / 9)), abs=1e-9)
    assert beta_interval(8, 0) == pytest.approx((0.05 ** (1 / 9), 0.95 ** (1 / 9)), abs=1e-9)
    with pytest.raises(ValueError, match="-1 successes"):
        beta_interval(-1, 2)


def test_a_step_pair_shares_its_prefix_and_differs_in_one_step() -> None:
    (pair,) = StepPreference().rows(labeled(OmegaPRM(k=16)))
    assert (pair.prompt, pair.chosen, pair.rejected, pair.step) == ("Q p?\nA\nB\n", "x\n", "C\n", 2)
    assert (pair.full_chosen, pair.full_rejected) == ("x\nend", "C\nD\nE\nF\n")
    assert pair.certainty > 0
    assert pair.chosen_value > pair.rejected_value


def test_the_margin_is_the_distance_of_the_two_intervals() -> None:
    problem = labeled(OmegaPRM(k=16, grow=False))
    fork = fork_of(problem.solutions[1], EvidenceTree(problem))
    assert fork is not None
    assert fork.right is not None
    # What the bisection drew: 16 from "A B C", and the right ones of 16 from "A B".
    right = [r for r in problem.evidence if r.start and r.start.steps == 2 and r.outcome == "correct"]
    wrong = [r for r in problem.evidence if r.start and r.start.steps == 3]
    assert (fork.right.successes, fork.right.failures) == (len(right) - 1, 0)
    assert (fork.wrong.successes, fork.wrong.failures) == (0, len(wrong))
    apart = beta_interval(len(right) - 1, 0)[0] - beta_interval(0, len(wrong))[1]
    assert fork.margin == pytest.approx(apart)


def test_the_success_that_a_sibling_was_picked_for_does_not_count() -> None:
    """Of many siblings with one try each, some succeed by luck."""
    lucky = a_solution("lucky", "ABX", "correct")
    row = solved(lucky, a_solution("bad", "ABCDEF", "wrong"))
    policy = KnownPolicy(lambda prefix: 0.0)
    problem = asyncio.run(OmegaPRM(k=8)(row, policy, EqualGrader(), seed=1))
    wrong_at_c = problem.solutions[1].model_copy(
        update={"verdict": problem.solutions[1].verdict.model_copy(update={"first_error": 2, "abstained": False})}
    )
    fork = fork_of(wrong_at_c, EvidenceTree(problem))
    assert fork is not None
    assert fork.right is not None
    assert fork.right.outcome == 1.0  # "X" ends its solution, so its value is known and needs no count
    assert (fork.right.successes, fork.right.failures) == (0, 0)


def test_overlapping_intervals_make_no_pair() -> None:
    problem = labeled(OmegaPRM(k=4), high=0.5)
    assert list(StepPreference().rows(problem)) == []
    assert list(StepPreference(min_margin=-1).rows(problem))


def test_solutions_that_were_brought_along_make_no_pair() -> None:
    problem = labeled(OmegaPRM(k=16), tokens=0)
    assert list(StepPreference().rows(problem)) == []
    assert list(Preference().rows(problem)) == []


def test_contrast_draws_until_the_steps_are_told_apart_and_pays_under_its_own_name() -> None:
    before = labeled(OmegaPRM(k=2), error=3)
    after = labeled(OmegaPRM(k=2), Contrast(budget=40), error=3)
    assert list(StepPreference().rows(before)) == []
    assert len(list(StepPreference().rows(after))) == 1
    assert after.solutions == before.solutions
    assert after.evidence == before.evidence
    assert before.further == ()
    costs = {entry.labeler: entry.cost.rollouts for entry in after.costs}
    assert costs == {"omega_prm": len(before.evidence), "contrast": len(after.further)}
    assert 0 < len(after.further) < 40


def test_contrast_asks_nothing_where_it_is_known_already_and_ends_with_its_budget() -> None:
    assert labeled(OmegaPRM(k=16), Contrast()).further == ()
    hopeless = labeled(OmegaPRM(k=4), Contrast(budget=6), high=0.5, low=0.45)
    assert len(hopeless.further) <= 6 * len(hopeless.solutions)


def test_contrast_never_draws_a_sample_twice() -> None:
    problem = labeled(OmegaPRM(k=2), Contrast(budget=30), error=3)
    ids = [r.id for r in (*problem.evidence, *problem.further)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("first", [OmegaPRM(grow=False), ChangePoint(fit_problems=0)], ids=lambda part: part.kind)
def test_pairs_are_counted_and_right_by_the_truth(first: OmegaPRM | ChangePoint) -> None:
    audit = PairAudit()
    rows = scripted_rows([first, Contrast()], 36, error_rate=0.06)
    for row in rows:
        audit.add(row, truths_of(row))
    figures = audit.figures()
    assert figures.first_errors == sum(s.verdict.first_error is not None for row in rows for s in row.solutions)
    assert 8 <= figures.apart == figures.checked <= figures.with_a_right_step <= figures.first_errors
    assert figures.chosen_right_rejected_wrong.share >= 0.85
    exported = sum(len(list(StepPreference(max_per_problem=99).rows(row))) for row in rows)
    assert 0 < exported <= figures.apart


def test_pairs_without_a_truth_are_counted_only() -> None:
    untold = PairAudit()
    told = labeled(OmegaPRM(k=16))
    untold.add(told, truths_of(told))
    assert untold.figures().apart == 1
    assert untold.figures().checked == 0
    assert untold.figures().chosen_right_rejected_wrong is None


def test_step_dpo_has_the_columns_of_its_own_trainer() -> None:
    (pair,) = StepDPO().rows(labeled(OmegaPRM(k=16)))
    assert (pair.dataset, pair.prompt, pair.initial_reason_steps) == ("test", "Q p?", "A\nB\n")
    assert (pair.chosen, pair.rejected, pair.answer) == ("x\n", "C\n", "1")
    assert list(type(pair).model_fields)[:8] == (
        ["dataset", "prompt", "initial_reason_steps", "chosen", "rejected", "full_chosen", "full_rejected", "answer"]
    )


def test_pairwise_gives_the_probability_that_the_chosen_step_is_better() -> None:
    (pair,) = Pairwise().rows(labeled(OmegaPRM(k=16)))
    assert pair.probability == pytest.approx((1 + pair.chosen_value - pair.rejected_value) / 2)
    assert 0.5 < pair.probability <= 1


def test_no_export_has_a_column_margin() -> None:
    """TRL's, OpenRLHF's and ms-swift's reward trainers would take it into their loss."""
    assert not [part for part in EXPORTS if "margin" in part.row.model_fields]


def test_reflection_ends_its_prompt_in_the_mistake_and_completes_rightly() -> None:
    problem = labeled(OmegaPRM(k=16))
    (trace,) = Reflection(notice="No. ").rows(problem)
    assert (trace.prompt, trace.completion) == ("Q p?\nA\nB\nC\n", "No. x\nend")
    assert (trace.step, trace.wrong_steps) == (2, 1)
    delays = {
        row.wrong_steps
        for problem in scripted_rows([OmegaPRM(grow=False)], 24)
        for row in Reflection(longest_delay=3, max_per_problem=9).rows(problem)
    }
    assert {1, 2} <= delays <= {1, 2, 3}


def test_solution_pairs_are_right_against_wrong() -> None:
    (pair,) = Preference().rows(labeled(OmegaPRM()))
    assert (pair.chosen, pair.rejected) == ("a\nb\nc\n", "A\nB\nC\nD\nE\nF\n")
    assert (pair.prompt, pair.certainty, pair.step) == ("Q p?\n", 1.0, None)


def test_solution_pairs_are_near_in_length() -> None:
    long = "abcdefghij"
    solutions: list[Rollout] = [a_solution("good", "abc", "correct")]
    solutions += [a_solution("far", long.upper(), "wrong"), a_solution("near", "XYZ", "wrong")]
    problem = asyncio.run(OmegaPRM()(solved(*solutions), KnownPolicy(lambda prefix: 0.5), EqualGrader(), seed=1))
    (pair,) = Preference(completions="none").rows(problem)
    assert pair.rejected == "X\nY\nZ\n"


@pytest.mark.parametrize(
    ("band", "taken"), [((0.0, 1.0), True), ((0.5, 1.0), True), ((0.6, 1.0), False), ((0, 0.4), False)]
)
def test_each_export_has_its_own_band_of_difficulty(band: tuple[float, float], taken: bool) -> None:
    problem = labeled(OmegaPRM())  # one solution right, one wrong
    assert Preference(pass_rate=band).takes(problem) == taken
    none = problem.model_copy(update={"solutions": ()})
    assert Preference(pass_rate=band).takes(none) == (band == (0.0, 1.0))


@pytest.mark.parametrize("band", [(0.6, 0.4), (-0.1, 1.0), (0.0, 1.1)])
def test_a_band_that_is_none_is_refused(band: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match="is not a range"):
        Preference(pass_rate=band)
