"""What evidence says of one solution, counted before any rate is applied: the change-point model's only input."""

from collections.abc import Sequence
from typing import NamedTuple

from stepforge.labelers.change_point.model import Counts, Observed
from stepforge.labelers.change_point.rates import Rates
from stepforge.labelers.evidence.replay import stored_evidence
from stepforge.labelers.evidence.store import QUESTION, Evidence, Trajectory, solution_trajectory
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.rollout import Step


class Seen(NamedTuple):
    """The counts of one solution; see ``Observed`` for their meaning."""

    path: Trajectory
    agreement: tuple[Counts, ...]
    root: Counts
    prefixes: tuple[Counts, ...]
    leaving: tuple[Counts, ...]

    def observed(self, rates: Rates, *, surprise: bool) -> Observed:
        """Return what the model is given under certain rates."""
        return Observed(
            chances=chances(self.path.steps, rates, surprise),
            agreement=self.agreement,
            right=self.path.outcome == "correct",
            root=self.root,
            prefixes=self.prefixes,
            leaving=self.leaving,
        )


def see(path: Trajectory, evidence: Evidence, *, passing: bool = True) -> Seen:
    """Count the evidence on a solution; without ``passing``, only what was drawn at its own prefixes."""
    question = evidence.label(QUESTION, 0)
    root = (0, 0) if question is None else (question.successes, question.failures)
    steps = range(len(path.steps))
    if passing:
        along = evidence.along(path)
        return Seen(path, along.agreement, root, prefixes=along.passing[1:], leaving=along.leaving)
    drawn = tuple(_drawn(path, count, evidence) for count in steps[1:])
    return Seen(path, ((0, 0),) * len(steps), root, drawn, ((0, 0), *drawn))


def seen_in(row: LabeledProblem, *, passing: bool = True) -> list[Seen]:
    """Return what a labelled problem's stored evidence says of each of its solutions."""
    evidence = stored_evidence(row)
    paths = [solution_trajectory(solution.rollout) for solution in row.solutions]
    known = [path for path in paths if path.outcome != "undetermined" and path.steps]
    return [see(path, evidence, passing=passing) for path in known]


def chances(steps: Sequence[Step], rates: Rates, surprise: bool) -> tuple[float, ...]:
    """Return each step's prior chance of being wrong."""
    if surprise:
        return tuple(rates.error_chance(step) for step in steps)
    return tuple(rates.error_chance(step.model_copy(update={"lowest_logprob": None})) for step in steps)


def _drawn(path: Trajectory, count: int, evidence: Evidence) -> Counts:
    label = evidence.label(path, count)
    return (0, 0) if label is None else (label.successes, label.failures)
