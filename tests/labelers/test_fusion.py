"""Verdicts of several labelers, fused by their measured skills."""

from collections.abc import Sequence
from itertools import product
from math import isclose, log

import pytest
from fakes import verdict_of

from stepforge.labelers.consensus import DISAGREE, NOBODY, Skill, fused, relation, skills_of
from stepforge.schemas.labeled import Verdict

STEPS = 5


def test_a_measured_skill_by_hand() -> None:
    cases = [
        (verdict_of("a", 2), 2),
        (verdict_of("a", 0), 2),
        (verdict_of("a", 3), 2),
        (verdict_of("a", 4), 2),
        (verdict_of("a"), 2),
        (verdict_of("a", abstained=True), 2),
        (verdict_of("a"), None),
        (verdict_of("a"), None),
        (verdict_of("a", 0), None),
        (verdict_of("a", abstained=True), None),
    ]
    (found,) = skills_of(cases)
    assert found.erroneous == {"exact": 1, "before": 1, "after": 2, "none": 1, "abstained": 1}
    assert found.clean == {"none": 2, "step": 1, "abstained": 1}
    assert [relation(verdict, 2) for verdict, truth in cases if truth == 2] == [
        "exact", "before", "after", "after", "none", "abstained",
    ]  # fmt: skip
    # (1 + 0.5) / (6 + 5 * 0.5) exact; (2 + 0.5) / 8.5 after, spread over the two steps behind the third of five
    assert isclose(found.log_likelihood(verdict_of("a", 2), 2, STEPS), log(1.5 / 8.5))
    assert isclose(found.log_likelihood(verdict_of("a", 3), 2, STEPS), log(2.5 / 8.5 / 2))
    assert isclose(found.log_likelihood(verdict_of("a", 3), None, STEPS), log(1.5 / 5.5 / STEPS))
    assert isclose(found.log_likelihood(verdict_of("a"), None, STEPS), log(2.5 / 5.5))


A = {"exact": 6, "none": 1, "before": 1, "after": 1, "abstained": 1}
B = {"exact": 3, "none": 4, "after": 3}
TABLE = {
    "a": Skill(labeler="a", erroneous=A, clean={"none": 8}),
    "b": Skill(labeler="b", erroneous=B, clean={"none": 5, "step": 3, "abstained": 2}),
}
OPINIONS = [(error, False) for error in (*range(3), None)] + [(None, True)]


def brute_force(verdicts: Sequence[Verdict], steps: int) -> list[float]:
    """P(first error | verdicts) by Bayes' rule, from the tables' shares written out."""

    def chance(name: str, verdict: Verdict, truth: int | None) -> float:
        erroneous, clean = TABLE[name].erroneous, TABLE[name].clean
        if truth is None:
            if verdict.abstained or verdict.first_error is None:
                kind = "abstained" if verdict.abstained else "none"
                return (clean.get(kind, 0) + 0.5) / (sum(clean.values()) + 1.5)
            return (clean.get("step", 0) + 0.5) / (sum(clean.values()) + 1.5) / steps
        kinds = ["exact", "none", "abstained", *["before"][: truth > 0], *["after"][: truth < steps - 1]]
        total = sum(erroneous.get(kind, 0) + 0.5 for kind in kinds)
        if verdict.abstained or verdict.first_error is None:
            return (erroneous.get("abstained" if verdict.abstained else "none", 0) + 0.5) / total
        if verdict.first_error == truth:
            return (erroneous["exact"] + 0.5) / total
        kind, places = ("before", truth) if verdict.first_error < truth else ("after", steps - 1 - truth)
        return (erroneous.get(kind, 0) + 0.5) / total / places

    first = TABLE[verdicts[0].labeler]
    wrong, right = sum(first.erroneous.values()) + 1, sum(first.clean.values()) + 1
    weights = []
    for truth in (*range(steps), None):
        weight = right / (wrong + right) if truth is None else wrong / (wrong + right) / steps
        for verdict in verdicts:
            weight *= chance(verdict.labeler, verdict, truth)
        weights.append(weight)
    return [weight / sum(weights) for weight in weights]


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a"), ("a",)])
def test_fusion_is_bayes_rule(order: tuple[str, ...]) -> None:
    for spoken in product(OPINIONS, repeat=len(order)):
        verdicts = [verdict_of(n, error, abstained=silent) for n, (error, silent) in zip(order, spoken, strict=True)]
        found = fused("f", verdicts, TABLE, 3, sure=0.0)
        if all(silent for _, silent in spoken):
            assert found == Verdict(labeler="f", first_error=None, abstained=True, reason=NOBODY)
            continue
        expected = brute_force(verdicts, 3)
        assert found.posterior == pytest.approx(expected)
        likeliest = expected.index(max(expected))
        assert found.first_error == (None if likeliest == 3 else likeliest)
        unsure = fused("f", verdicts, TABLE, 3, sure=0.999)
        assert unsure.abstained
        assert unsure.reason == DISAGREE
        assert unsure.posterior == found.posterior
