"""Rules on whole rows: agreement, fusion, what every rule keeps, and labelers as rules."""

import asyncio

import pytest
from fakes import EqualGrader, KnownPolicy, a_solution, solved, verdict_of
from pydantic import TypeAdapter
from rule_rows import labeled, view

from stepforge.labelers import AMCS, ChangePoint, Consensus, Labeler, MathShepherd, OmegaPRM, label_with_all
from stepforge.labelers import Sequential as Walk
from stepforge.labelers.consensus import DISAGREE, NOBODY, Skill, fused
from stepforge.labelers.evidence.replay import solved_part, stored_evidence
from stepforge.labelers.labeling import TRUNCATED
from stepforge.labelers.rules import (
    RULES,
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
    opinions,
    relabeled,
)
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, Verdict
from stepforge.schemas.rollout import SolvedProblem


def error_of(verdict: Verdict) -> int | str | None:
    return "abstains" if verdict.abstained else verdict.first_error


# Agreement and fusion.


def opined(*verdicts: Verdict) -> LabeledSolution:
    return labeled([None, None], verdict=verdicts[0], others=verdicts[1:])


def test_agreement_by_hand() -> None:
    agreeing = opined(verdict_of("a", 1), verdict_of("b", 1), verdict_of("oracle", 2))
    assert view(Agreement(), agreeing) == View((1.0, 0.0, None), verdict_of("agreement", 1))
    assert view(Agreement(), opined(verdict_of("a"), verdict_of("b"))) == View((1.0, 1.0, 1.0), verdict_of("agreement"))
    divided = opined(verdict_of("oracle", 1), verdict_of("a", 1), verdict_of("b"), verdict_of("c", abstained=True))
    seen = view(Agreement(), divided)
    assert seen.targets == (None, None, None)
    assert seen.verdict.reason == f"{DISAGREE}: a step 2, b no error, c abstains"
    assert view(Agreement(of=("a", "oracle")), divided) == View((1.0, 0.0, None), verdict_of("agreement", 1))
    assert view(Agreement(of=("nobody",)), agreeing).verdict.abstained
    assert [v.labeler for v in opinions(divided, ())] == ["a", "b", "c"]


SKILLS = (
    Skill(labeler="a", erroneous={"exact": 18, "after": 2}, clean={"none": 20}),
    Skill(labeler="b", erroneous={"exact": 10, "none": 6, "before": 4}, clean={"none": 15, "step": 5}),
)


def test_fusion_by_hand() -> None:
    divided = opined(verdict_of("a", 1), verdict_of("b"), verdict_of("oracle", 2), verdict_of("c", 0))
    rule = Fusion(skills=SKILLS)
    skills = {skill.labeler: skill for skill in SKILLS}
    expected = fused("fusion", [verdict_of("a", 1), verdict_of("b")], skills, 3)
    assert expected.first_error == 1
    assert view(rule, divided) == View((1.0, 0.0, None), expected)
    only = fused("fusion", [verdict_of("b")], skills, 3)
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
    """All that say something of every solution; people look at few (``tests/pipelines/review``)."""
    skill = Skill(labeler="math_shepherd", erroneous={"exact": 9, "none": 1}, clean={"none": 10})
    return [Fusion(skills=(skill,)) if name == "fusion" else rule() for name, rule in RULES.items() if name != "people"]


rules = pytest.mark.parametrize("rule", every_rule(), ids=lambda rule: rule.kind)


@rules
def test_a_rule_is_told_by_its_kind(rule: AnyRule) -> None:
    read = TypeAdapter[AnyRule](AnyRule).validate_json(rule.model_dump_json())
    assert read == rule
    assert RULES[rule.kind] is type(rule)


@rules
def test_relabeling_keeps_what_was_measured_and_said(rule: AnyRule) -> None:
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
