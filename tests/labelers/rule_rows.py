"""Labeled rows made by hand, for tests of rules."""

from collections.abc import Sequence

from fakes import IDENTITY, a_problem, a_solution, verdict_of

from stepforge.labelers.evidence.store import solution_trajectory
from stepforge.labelers.labeling import own_outcome
from stepforge.labelers.rules import AnyRule, View
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, StepLabel, Stopping, Verdict
from stepforge.schemas.rollout import Outcome, Rollout, Start

Count = tuple[int, int] | None
"""(successes, failures), None where a prefix was not measured."""


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
        verdict=verdict or verdict_of("math_shepherd", abstained=True),
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
