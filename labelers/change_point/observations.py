"""What evidence says of one solution, counted before any rate is applied: the change-point model's only input."""

from collections.abc import Sequence
from math import exp
from typing import NamedTuple

import numpy as np

from stepforge.labelers.change_point.model import Observed
from stepforge.labelers.change_point.rates import NO_RESULT
from stepforge.labelers.change_point.statements import result_counts, stated
from stepforge.labelers.evidence.prefix_index import SiblingCounts
from stepforge.labelers.evidence.replay import stored_evidence
from stepforge.labelers.evidence.store import Evidence, Trajectory, solution_trajectory, texts_of
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.rollout import Rollout, Step

NUMBERS = frozenset(("integer", "rational", "expression", "math", "choice"))
"""Kinds of answers of the problems whose steps state numbers."""
SURE = 0.25
"""Mean probability of a solution's steps above which what they state is not looked at."""


class Signals(NamedTuple):
    """What counts besides completions."""

    surprise: bool = True
    """The log-probabilities of the solution's own steps."""
    stated: bool = True
    """What the steps state."""
    siblings: bool = True
    """The other solutions; without it they count at the question, wherever they leave, and what they say is not read.
    """


def observe(path: Trajectory, evidence: Evidence, signals: Signals) -> Observed:
    """Count the evidence on a solution."""
    steps = len(path.steps)
    labels = [evidence.label(path, count) for count in range(steps)]
    right = np.array([0 if label is None else label.successes for label in labels], float)
    wrong = np.array([0 if label is None else label.failures for label in labels], float)
    others = [r for r in evidence.root if signals.siblings and r.id != path.rollout]
    right[0] -= sum(r.outcome == "correct" for r in others)
    wrong[0] -= sum(r.outcome == "wrong" for r in others)
    beside = evidence.along(path) if signals.siblings else SiblingCounts.none(steps)
    told = [0.0 if step.author == "tool" else step.logprob if signals.surprise else None for step in path.steps]
    written = [
        exp(min(0.0, logprob)) if logprob is not None else on / (on + left + lost + 1)
        for logprob, on, left, lost in zip(told, beside.going_on, beside.right, beside.wrong, strict=True)
    ]
    # Where the policy is sure of its steps, an odd number is an unexpected step, and counts already.
    sure = sum(written) > SURE * len(written)
    looked_at = signals.stated and not sure and evidence.problem.answer_kind in NUMBERS
    seen = Observed(
        right=path.outcome == "correct",
        successes=right,
        failures=wrong,
        left_right=np.array(beside.right, float),
        left_wrong=np.array(beside.wrong, float),
        written=np.minimum(np.array(written), 0.999),
    )
    return _with_statements(seen, path, evidence, signals.siblings) if looked_at else seen


def _with_statements(seen: Observed, path: Trajectory, evidence: Evidence, siblings: bool) -> Observed:
    """Compare what each step states with all other rollouts that ended right, or with its own completions alone."""
    question, steps = evidence.problem.question, texts_of(path.steps)
    right = [one for one in evidence.right_beside(path) if siblings or one.shared]
    # One that is right by luck after steps of this solution often took the same wrong step.
    apart = tuple((*one.before, *one.own) for one in right if not one.shared)
    seen = seen._replace(stated=np.array(stated(question, steps, apart), np.intp))
    counts = result_counts(question, steps, right)
    # In a text of another sort, without any results, nothing is odd about a step that has none. Nor is anything odd
    # about the results of a right answer that has no other one to be compared with.
    told = any(of > 0 for _, of in counts) if seen.right else set(counts) != {NO_RESULT}
    return seen._replace(results=np.array(counts, np.intp)) if told else seen


def observed_in(row: LabeledProblem, signals: Signals) -> list[Observed]:
    """Return the observations on each solution with a verdict, from a labeled problem's stored evidence."""
    evidence = stored_evidence(row)
    paths = [solution_trajectory(solution.rollout) for solution in row.solutions if has_verdict(solution.rollout)]
    return [observe(path, evidence, signals) for path in paths]


def has_verdict(rollout: Rollout) -> bool:
    """Whether a solution can be judged at all: it has steps, and its answer is right or wrong."""
    return rollout.outcome != "undetermined" and bool(rollout.steps)


def share_left(steps: Sequence[Step], count: int) -> float:
    """Return the part of a solution after ``count`` steps, in tokens (or characters), at least one step's worth."""
    lengths = [0 if step.author == "tool" else len(step.token_ids) or len(step.text) for step in steps]
    return max(sum(lengths[count:]) / max(1, sum(lengths)), 1 / len(steps))
