"""Labels as views: every rule on rows made by hand, and stored evidence against what was drawn."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise, product

import pytest
from fakes import IDENTITY, EqualGrader, KnownPolicy, a_problem, a_solution, solved
from pydantic import TypeAdapter

from stepforge.labelers import AMCS, ChangePoint, Consensus, Labeler, MathShepherd, OmegaPRM, label_with_all
from stepforge.labelers import Sequential as Walk
from stepforge.labelers.consensus import DISAGREE, NOBODY, Skill, fused
from stepforge.labelers.evidence.replay import solved_part, stored_evidence
from stepforge.labelers.evidence.store import QUESTION, Trajectory, solution_trajectory
from stepforge.labelers.labeling import TRUNCATED, own_outcome
from stepforge.labelers.rules import (
    RULES,
    UNMEASURED,
    Advantage,
    Agreement,
    AnyRule,
    Fusion,
    Hard,
    PosteriorRule,
    RelativeProgress,
    Scan,
    Soft,
    View,
    base_rate,
    first_loss,
    opinions,
    relabeled,
    values_with_base,
)
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, StepLabel, Stopping, Verdict
from stepforge.schemas.rollout import Outcome, Rollout, SolvedProblem, Start, Step

Count = tuple[int, int] | None
"""(successes, failures), None where a prefix was not measured."""


def said(labeler: str, error: int | None = None, *, abstained: bool = False) -> Verdict:
    return Verdict(labeler=labeler, first_error=error, abstained=abstained, reason="so" if abstained else None)


def labeled(
    counts: Sequence[Count],
    outcome: Outcome = "wrong",
    *,
    stopping: Stopping = "fixed",
    verdict: Verdict | None = None,
    others: Sequence[Verdict] = (),
    name: str = "s",
) -> LabeledSolution:
    """A solution of one step more than there are counts: its last label is its own outcome."""
    rollout = a_solution(name, "ABCDEFGHIJ"[: len(counts) + 1], outcome)
    measured = [None if c is None else StepLabel(successes=c[0], failures=c[1], stopping=stopping) for c in counts]
    return LabeledSolution(
        rollout=rollout,
        labels=(*measured, own_outcome(solution_trajectory(rollout))),
        verdict=verdict or said("math_shepherd", abstained=True),
        others=tuple(others),
    )


def root(name: str, outcome: Outcome) -> Rollout:
    return a_solution(name, "x", outcome).model_copy(update={"start": Start(rollout="", steps=0)})


def a_row(*solutions: LabeledSolution, evidence: Sequence[Rollout] = ()) -> LabeledProblem:
    return LabeledProblem(
        problem=a_problem(), solutions=solutions, evidence=tuple(evidence), policy=IDENTITY, costs=()
    )  # fmt: skip


def view(rule: AnyRule, solution: LabeledSolution, *others: LabeledSolution) -> View:
    return rule.view(a_row(solution, *others), solution)


def found(rule: AnyRule, *counts: Count, outcome: Outcome = "wrong", stopping: Stopping = "fixed") -> View:
    """The view of a wrong solution beside a right one: a base rate of one half."""
    solution = labeled(counts, outcome, stopping=stopping)
    other: Outcome = "correct" if outcome == "wrong" else "wrong"
    return view(rule, solution, labeled([], other, name="other"))


def error_of(verdict: Verdict) -> int | str | None:
    return "abstains" if verdict.abstained else verdict.first_error


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
    assert found(Hard(), (3, 1), (1, 7), (0, 8), (1, 7)) == View((1.0, 1.0, 0.0, 1.0, 0.0), said("hard", 2))
    assert found(Hard(), (0, 8), (8, 0)) == View((0.0, 1.0, 0.0), said("hard", 0))
    assert found(Hard(), (1, 0), (2, 0)) == View((1.0, 1.0, 0.0), said("hard", 2))
    assert found(Hard(), (1, 0), (2, 0), outcome="correct") == View((1.0, 1.0, 1.0), said("hard"))
    # A bisection's evidence: success proves what stands before it
    assert found(Hard(), None, (1, 7), (0, 8), None) == View((None, 1.0, 0.0, None, 0.0), said("hard", 2))
    assert found(Hard(), None, None, None, outcome="correct") == View((None, None, None, 1.0), said("hard"))


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
    assert found(Soft(), (6, 2), (1, 7), (0, 8)) == View((0.75, 0.125, 0.0, 0.0), said("soft", 2))
    assert found(Soft(threshold=0.125), (6, 2), (1, 7), (0, 8)).verdict.first_error == 1
    assert found(Soft(threshold=0.12), (6, 2), (1, 7), (0, 8)).verdict.first_error == 2
    assert found(Soft(), (6, 2), (1, 7), outcome="correct") == View((0.75, 0.125, 1.0), said("soft"))


@pytest.mark.parametrize("stopping", ["first_success", "adaptive"])
def test_soft_labels_under_another_stopping_rule_are_posterior_means(stopping: Stopping) -> None:
    # (c + 1) / (n + 2)
    seen = found(Soft(), (1, 0), (1, 3), (0, 8), stopping=stopping)
    assert seen.targets == pytest.approx((2 / 3, 2 / 6, 1 / 10, 0.0))
    assert seen.verdict == said("soft", 2)
    nothing = found(Soft(), (1, 0), (0, 0), stopping=stopping)
    assert nothing.targets == pytest.approx((2 / 3, None, 0.0))


def test_a_soft_verdict_and_its_targets_compare_the_same_values() -> None:
    seen = found(Soft(threshold=0.3), (1, 0), (1, 3), (0, 8), stopping="first_success")
    assert seen.targets[1] is not None
    assert seen.targets[1] > 0.3
    assert seen.verdict.first_error == 2


# Differences and ratios.


def test_advantages_by_hand() -> None:
    seen = found(Advantage(), (8, 0), (7, 1), (1, 7), (0, 8))
    assert seen.targets == (0.5, -0.125, -0.75, -0.125, 0.0)
    assert seen.verdict == said("advantage", 2)
    # The first of two equal losses
    assert found(Advantage(), (6, 2), (4, 4), (2, 6), (0, 8)).verdict.first_error == 1
    # Lost with the first step: V falls from the base rate
    assert found(Advantage(), (0, 8), (0, 8)) == View((-0.5, 0.0, 0.0), said("advantage", 0))


def test_an_advantage_without_a_base_rate_abstains() -> None:
    brought = labeled([(4, 4), (0, 8)])
    brought = brought.model_copy(update={"rollout": brought.rollout.model_copy(update={"tokens": 0})})
    assert view(Advantage(), brought) == View((None, -0.5, 0.0), _unmeasured("advantage"))


def test_a_solution_that_loses_nothing_has_no_error_by_advantage() -> None:
    seen = found(Advantage(), (5, 3), (6, 2), outcome="correct")
    assert seen.targets == (0.125, 0.125, 0.25)
    assert seen.verdict == said("advantage")


def test_relative_progress_by_hand() -> None:
    # 1.0, 0.875, 0.6, 0 over what stood before, the first over the base rate of one half
    seen = found(RelativeProgress(), (8, 0), (7, 1), (6, 4), (0, 8))
    assert seen.targets == pytest.approx((1.0, 0.875, 0.6 / 0.875, 0.0, 0.0))
    assert seen.verdict == said("relative_progress", 2)
    assert found(RelativeProgress(least=0.6), (8, 0), (7, 1), (6, 4), (0, 8)).verdict.first_error == 3
    assert found(RelativeProgress(least=0.9), (8, 0), (7, 1), (6, 4), (0, 8)).verdict.first_error == 1
    assert found(RelativeProgress(), (4, 4), (8, 0), outcome="correct") == View(
        (1.0, 1.0, 1.0), said(RelativeProgress().kind)
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
    assert scan(said("sequential", 3)) == View((1.0, 1.0, 0.5, 0.0, None, None), said("scan", 3))
    assert scan(said("sequential", 2)).targets == (1.0, 1.0, 0.0, None, None, None)
    assert scan(said("sequential", 3), tolerance=0).targets == (1.0, 1.0, 1.0, 0.0, None, None)
    assert scan(said("sequential", 0)).targets == (0.0, None, None, None, None, None)
    assert scan(said("sequential", 5), tolerance=3).targets == (1.0, 1.0, 0.5, 0.0, None, 0.0)
    quarter = labeled([(1, 7), (1, 7)], verdict=said("sequential", 2))
    wrong = labeled([], "wrong", name="b")
    right = [labeled([], "correct", name=name) for name in "cd"]
    assert view(Scan(), quarter, wrong, *right).targets == (0.25, 0.25, 0.0)


def test_scan_under_another_stopping_rule() -> None:
    solution = labeled([(1, 0), (1, 7), (0, 8)], stopping="first_success", verdict=said("sequential", 2))
    seen = view(Scan(), solution, labeled([], "correct", name="other"))
    assert seen.targets == pytest.approx((1.0, 0.2 / 0.5, 0.0, None))


def test_scan_keeps_what_the_labeler_said() -> None:
    assert scan(said("sequential")) == View((1.0,) * 6, said("scan"))
    assert scan(said("sequential", abstained=True)) == View((None,) * 6, said("scan", abstained=True))
    sure = said("change_point", 3).model_copy(update={"posterior": (0.0,) * 7})
    assert scan(sure).verdict == said("scan", 3)


def test_scan_without_a_base_rate_says_nothing_near_the_error() -> None:
    solution = labeled(SCANNED, verdict=said("sequential", 3))
    assert view(Scan(), solution).targets == (1.0, None, None, 0.0, None, None)


# Agreement and fusion.


def opined(*verdicts: Verdict) -> LabeledSolution:
    return labeled([None, None], verdict=verdicts[0], others=verdicts[1:])


def test_agreement_by_hand() -> None:
    agreeing = opined(said("a", 1), said("b", 1), said("oracle", 2))
    assert view(Agreement(), agreeing) == View((1.0, 0.0, None), said("agreement", 1))
    assert view(Agreement(), opined(said("a"), said("b"))) == View((1.0, 1.0, 1.0), said("agreement"))
    divided = opined(said("oracle", 1), said("a", 1), said("b"), said("c", abstained=True))
    seen = view(Agreement(), divided)
    assert seen.targets == (None, None, None)
    assert seen.verdict.reason == f"{DISAGREE}: a step 2, b no error, c abstains"
    assert view(Agreement(of=("a", "oracle")), divided) == View((1.0, 0.0, None), said("agreement", 1))
    assert view(Agreement(of=("nobody",)), agreeing).verdict.abstained
    assert [v.labeler for v in opinions(divided, ())] == ["a", "b", "c"]


SKILLS = (
    Skill(labeler="a", erroneous={"exact": 18, "after": 2}, clean={"none": 20}),
    Skill(labeler="b", erroneous={"exact": 10, "none": 6, "before": 4}, clean={"none": 15, "step": 5}),
)


def test_fusion_by_hand() -> None:
    divided = opined(said("a", 1), said("b"), said("oracle", 2), said("c", 0))
    rule = Fusion(skills=SKILLS)
    skills = {skill.labeler: skill for skill in SKILLS}
    expected = fused("fusion", [said("a", 1), said("b")], skills, 3)
    assert expected.first_error == 1
    assert view(rule, divided) == View((1.0, 0.0, None), expected)
    only = fused("fusion", [said("b")], skills, 3)
    assert only.finds_no_error
    assert view(Fusion(skills=SKILLS, of=("b", "c")), divided) == View((1.0, 1.0, 1.0), only)
    unsure = view(Fusion(skills=SKILLS, sure=0.999), divided)
    assert unsure.targets == (None, None, None)
    assert unsure.verdict.posterior == expected.posterior
    assert view(Fusion(), divided).verdict.reason == NOBODY


# Rules on whole rows.


def a_labeled_row(seed: int = 0) -> LabeledProblem:
    row = solved(
        a_solution("good", "abcd", "correct"),
        a_solution("bad", "ABCDEF", "wrong"),
        a_solution("cut", "ABxy", "undetermined"),
        a_solution("empty", "", "wrong"),
    )
    parts: list[Labeler | Consensus] = [MathShepherd(k=4, root=8), OmegaPRM(k=4), Walk(), Consensus()]
    policy = KnownPolicy(lambda prefix: 0.0 if prefix.startswith("A\nB\nC\nD\n") else 0.7)
    return asyncio.run(label_with_all(parts, row, policy, EqualGrader(), seed=seed))


def every_rule() -> list[AnyRule]:
    skill = Skill(labeler="math_shepherd", erroneous={"exact": 9, "none": 1}, clean={"none": 10})
    return [Fusion(skills=(skill,)) if name == "fusion" else rule() for name, rule in RULES.items()]


rules = pytest.mark.parametrize("rule", every_rule(), ids=[*RULES])


@rules
def test_a_rule_is_told_by_its_kind(rule: AnyRule) -> None:
    read = TypeAdapter[AnyRule](AnyRule).validate_json(rule.model_dump_json())
    assert read == rule
    assert RULES[rule.kind] is type(rule)


@rules
def test_relabelling_keeps_what_was_measured_and_said(rule: AnyRule) -> None:
    row = a_labeled_row()
    before = row.model_dump_json()
    once, twice = relabeled(row, rule), relabeled(row, rule)
    assert once.model_dump_json() == twice.model_dump_json()
    assert row.model_dump_json() == before
    assert once.model_dump(exclude={"solutions"}) == row.model_dump(exclude={"solutions"})
    for old, new in zip(row.solutions, once.solutions, strict=True):
        assert (new.rollout, new.labels) == (old.rollout, old.labels)
        assert new.others == (old.verdict, *old.others)
        assert new.verdict.labeler == rule.kind
        assert len(new.targets) == len(old.rollout.steps)
        assert all(t is None or -1 <= t <= 1 for t in new.targets)
    assert LabeledProblem.model_validate_json(once.model_dump_json()) == once


@rules
def test_truncated_and_empty_solutions_are_abstained_from(rule: AnyRule) -> None:
    _, bad, cut, empty = relabeled(a_labeled_row(), rule).solutions
    assert cut.verdict.abstained
    assert cut.verdict.first_error is None
    assert empty.verdict.abstained
    assert empty.targets == ()
    assert bad.verdict.first_error == 3
    if isinstance(rule, Hard | Soft | Advantage | RelativeProgress | Scan | PosteriorRule):
        assert cut.verdict.reason == empty.verdict.reason == TRUNCATED


def test_rules_agree_on_a_clear_case() -> None:
    row = a_labeled_row()
    targets = {rule.kind: relabeled(row, rule).solutions[1].targets for rule in every_rule()}
    assert targets["hard"] == (1.0, 1.0, 1.0, 0.0, 0.0, 0.0)
    assert targets["agreement"] == targets["fusion"] == (1.0, 1.0, 1.0, 0.0, None, None)
    assert targets["scan"][0] == 1.0
    assert targets["scan"][3:] == (0.0, None, None)


def test_the_posterior_rule_is_the_change_point_model_on_stored_evidence() -> None:
    row = a_labeled_row()
    concluded = ChangePoint().conclude(solved_part(row), stored_evidence(row))
    new = relabeled(row, PosteriorRule())
    for solution, expected in zip(new.solutions[:3], concluded.solutions, strict=False):
        assert solution.verdict == expected.verdict.model_copy(update={"labeler": "posterior"})
        beliefs = [label.belief.p_error for label in expected.labels if label is not None and label.belief is not None]
        left = [1 - sum(beliefs[: i + 1]) for i in range(len(beliefs))]
        assert solution.targets == (pytest.approx(tuple(left), abs=1e-9) if left else (None,) * 4)
    assert [t for t in new.solutions[1].targets if t is not None] == sorted(
        (t for t in new.solutions[1].targets if t is not None), reverse=True
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_posterior_rule_repeats_change_points_own_verdicts(seed: int) -> None:
    row = solved(a_solution("good", "abcd", "correct"), a_solution("bad", "ABCDEF", "wrong"))
    policy = KnownPolicy(lambda prefix: 0.1 if prefix.startswith("A\nB\n") else 0.6)
    own = asyncio.run(ChangePoint()(row, policy, EqualGrader(), seed=seed))
    for old, new in zip(own.solutions, relabeled(own, PosteriorRule()).solutions, strict=True):
        assert new.verdict == old.verdict.model_copy(update={"labeler": "posterior"})


def many(labeler: Labeler, row: SolvedProblem, policy: KnownPolicy, seeds: int) -> list[LabeledProblem]:
    async def everything() -> list[LabeledProblem]:
        return [await labeler(row, policy, EqualGrader(), seed=seed) for seed in range(seeds)]

    return asyncio.run(everything())


@pytest.mark.parametrize("value", [0.1, 0.3, 0.6])
@pytest.mark.parametrize(
    "labeler",
    [
        MathShepherd(k=2),
        MathShepherd(k=3, curtailed=True, shared=False),
        OmegaPRM(k=2, grow=False),
        OmegaPRM(k=2, grow=False, curtailed=True),
        Walk(k=2),
        AMCS(first=2, most=4),
    ],
    ids=lambda labeler: f"{labeler.name}-{getattr(labeler, 'curtailed', '')}",
)
def test_hard_is_the_verdict_of_labelers_by_any_success(labeler: Labeler, value: float) -> None:
    solutions = [a_solution("good", "abcde", "correct"), a_solution("b1", "ABCDEFGH", "wrong")]
    row = solved(*solutions, a_solution("b2", "KLMNO", "wrong"), a_solution("cut", "XY", "undetermined"))
    errors = set()
    for labeled_row in many(labeler, row, KnownPolicy(lambda prefix: value), 60):
        for old, new in zip(labeled_row.solutions, relabeled(labeled_row, Hard()).solutions, strict=True):
            # Labelers that bisect or walk take right solutions for right; so does Hard, for want of a measured step.
            assert error_of(new.verdict) == error_of(old.verdict)
            errors.add(error_of(old.verdict))
    assert len(errors) >= 4


def test_hard_is_math_shepherds_verdict_where_prefixes_are_shared() -> None:
    row = solved(a_solution("b1", "ABCDEFGH", "wrong"), a_solution("b2", "ABCDEfg", "wrong"))
    for labeled_row in many(MathShepherd(k=2), row, KnownPolicy(lambda prefix: 0.3), 60):
        for old, new in zip(labeled_row.solutions, relabeled(labeled_row, Hard()).solutions, strict=True):
            assert error_of(new.verdict) == error_of(old.verdict)


# Stored evidence.


def prefixes(row: LabeledProblem) -> dict[str, list[Rollout]]:
    """Completions by the text they go on from, found by following each start back to the question."""
    known = {r.id: r for r in [*row.evidence, *(s.rollout for s in row.solutions)]}

    def whole(rollout: Rollout) -> list[Step]:
        before = (
            whole(known[rollout.start.rollout])[: rollout.start.steps] if rollout.start and rollout.start.steps else []
        )
        return [*before, *rollout.steps]

    drawn = defaultdict(list)
    for rollout in row.evidence:
        assert rollout.start is not None
        before = whole(known[rollout.start.rollout])[: rollout.start.steps] if rollout.start.steps else []
        drawn["".join(step.text for step in before)].append(rollout)
    return drawn


def wandering() -> KnownPolicy:
    return KnownPolicy(lambda prefix: 0.75 - 0.1 * prefix.count("\n"))


GROWING: list[Labeler] = [
    OmegaPRM(k=4, search_limit=60),
    OmegaPRM(k=3, search_limit=60, curtailed=True, solutions_first=False),
    MathShepherd(k=4, root=9),
    MathShepherd(k=4, shared=False),
    Walk(),
    AMCS(),
    ChangePoint(),
]


@pytest.mark.parametrize("labeler", GROWING, ids=lambda labeler: labeler.name)
@pytest.mark.parametrize("seed", range(3))
def test_stored_evidence_is_what_was_drawn(labeler: Labeler, seed: int) -> None:
    row = solved(
        a_solution("good", "abcd", "correct"), a_solution("b1", "ABCDE", "wrong"), a_solution("b2", "ABCxyz", "wrong")
    )
    policy = wandering()
    kept = asyncio.run(labeler(row, policy, EqualGrader(), seed=seed))
    kept = LabeledProblem.model_validate_json(kept.model_dump_json())
    evidence = stored_evidence(kept)
    assert sorted(r.id for r in evidence.rollouts) == sorted(r.id for r in kept.evidence)
    assert evidence.cost == kept.costs[0].cost
    by_prefix = prefixes(kept)
    assert {prefix: len(drawn) for prefix, drawn in by_prefix.items()} == dict(policy.asked)
    for text, drawn in by_prefix.items():
        steps = tuple(Step(text=line) for line in text.splitlines(keepends=True))
        own = list(row.rollouts) if not text else []
        assert evidence.completions(Trajectory("", steps, "wrong", 0), len(steps)) == [*own, *drawn]
    shared = getattr(labeler, "shared", True)
    for solution in kept.solutions:
        path = solution_trajectory(solution.rollout)
        for count, label in enumerate(solution.labels[:-1], 1):
            stored = evidence.label(path, count)
            if label is None or not label.trials:
                assert stored is None
            elif shared:
                assert stored is not None
                assert (stored.successes, stored.failures) == (label.successes, label.failures)


def test_a_tree_holds_completions_of_completions_and_they_are_found_again() -> None:
    row = solved(a_solution("good", "abcd", "correct"), a_solution("bad", "ABCDE", "wrong"))
    kept = asyncio.run(OmegaPRM(k=4, search_limit=60)(row, wandering(), EqualGrader(), seed=1))
    given = {"", "good", "bad"}
    nested = [r for r in kept.evidence if r.start is not None and r.start.rollout not in given]
    assert nested
    evidence = stored_evidence(kept)
    known = {r.id: r for r in kept.evidence}
    by_prefix = prefixes(kept)
    start_of = {r.id: text for text, drawn in by_prefix.items() for r in drawn}
    for rollout in nested:
        assert rollout.start is not None
        parent = known[rollout.start.rollout]
        assert parent.start is not None
        assert rollout.start.steps > parent.start.steps
        text = start_of[rollout.id]
        assert (start_of[parent.id] + parent.text).startswith(text)
        steps = tuple(Step(text=line) for line in text.splitlines(keepends=True))
        assert len(steps) == rollout.start.steps
        assert rollout in evidence.completions(Trajectory("", steps, "wrong", 0), len(steps))


def test_solutions_that_were_brought_along_are_no_stored_samples() -> None:
    brought = a_solution("bad", "ABC", "wrong").model_copy(update={"tokens": 0})
    row = a_row(labeled([(0, 4), (0, 4)]), evidence=[root("r", "correct")])
    own = stored_evidence(row).label(QUESTION, 0)
    assert own is not None
    assert own.trials == 2
    row = row.model_copy(update={"solutions": (row.solutions[0].model_copy(update={"rollout": brought}),)})
    foreign = stored_evidence(row).label(QUESTION, 0)
    assert foreign is not None
    assert (foreign.successes, foreign.failures) == (1, 0)


def test_stored_evidence_cannot_grow() -> None:
    path = solution_trajectory(a_solution("s", "AB", "wrong"))
    with pytest.raises(RuntimeError, match="cannot grow"):
        asyncio.run(stored_evidence(a_row(labeled([(0, 1)]))).measure(path, 1, 5))
