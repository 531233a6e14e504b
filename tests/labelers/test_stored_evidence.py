"""Stored evidence against what was drawn."""

import asyncio
from collections import defaultdict

import pytest
from fakes import EqualGrader, KnownPolicy, a_solution, solved
from rule_rows import a_row, labeled, root

from stepforge.labelers import AMCS, ChangePoint, Labeler, MathShepherd, OmegaPRM
from stepforge.labelers import Sequential as Walk
from stepforge.labelers.evidence.replay import stored_evidence
from stepforge.labelers.evidence.store import QUESTION, Trajectory, solution_trajectory
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.rollout import SUPPLIED, Rollout, Step

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
@pytest.mark.parametrize("seed", range(2))
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
    supplied = row.policy.model_copy(update={"model": SUPPLIED})
    solutions = (row.solutions[0].model_copy(update={"rollout": brought}),)
    row = row.model_copy(update={"solutions": solutions, "policy": supplied})
    foreign = stored_evidence(row).label(QUESTION, 0)
    assert foreign is not None
    assert (foreign.successes, foreign.failures) == (1, 0)


def test_stored_evidence_cannot_grow() -> None:
    path = solution_trajectory(a_solution("s", "AB", "wrong"))
    with pytest.raises(RuntimeError, match="cannot grow"):
        asyncio.run(stored_evidence(a_row(labeled([(0, 1)]))).measure(path, 1, 5))
