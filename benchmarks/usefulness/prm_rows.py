"""What a process reward model trains on: a row per solution, a target per step, from any labeler's verdicts."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from stepforge.pipelines.exports import Stepwise
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution
from stepforge.schemas.record import Record

Targets = Literal["first_error", "posterior", "outcome_every_step", "outcome_last_step"]
"""``first_error``: right before it, wrong at it, nothing after it (the ``stepwise`` export). ``posterior``: the
probability that no error came so far. ``outcome_...``: the answer's own outcome, at every step or at the last alone."""


class PrmRow(Record):
    """One solution: TRL's stepwise columns, with a share instead of a boolean and null for a step that is masked."""

    prompt: str
    completions: tuple[str, ...]
    """Step texts without their trailing line breaks."""
    labels: tuple[float | None, ...]
    """Probability that the solution is still right after the step, 0 to 1; null: the step carries no loss."""


def prm_rows(problems: Sequence[LabeledProblem], targets: Targets) -> list[PrmRow]:
    """Return the training rows of labeled problems, identical solutions of a problem once."""
    rows_of = _ROWS[targets]
    return [row for problem in problems for row in rows_of(problem)]


def _first_error(problem: LabeledProblem) -> Iterator[PrmRow]:
    for row in Stepwise(after_first_error="wrong").rows(problem):
        judged = len(row.labels) if row.first_error < 0 else row.first_error + 1
        labels = [float(label) if i < judged else None for i, label in enumerate(row.labels)]
        yield PrmRow(prompt=row.prompt, completions=row.completions, labels=tuple(labels))


def _posterior(problem: LabeledProblem) -> Iterator[PrmRow]:
    for solution in _distinct(problem):
        posterior = solution.verdict.posterior
        if posterior is None:
            continue
        wrong, labels = 0.0, []
        for chance in posterior[:-1]:
            wrong += chance
            labels.append(min(max(1.0 - wrong, 0.0), 1.0))
        yield _row(problem, solution, labels)


def _every_step(problem: LabeledProblem) -> Iterator[PrmRow]:
    for solution in _distinct(problem):
        yield _row(problem, solution, [_outcome(solution)] * len(solution.rollout.steps))


def _last_step(problem: LabeledProblem) -> Iterator[PrmRow]:
    for solution in _distinct(problem):
        yield _row(problem, solution, [*[None] * (len(solution.rollout.steps) - 1), _outcome(solution)])


_ROWS: dict[Targets, Callable[[LabeledProblem], Iterator[PrmRow]]] = {
    "first_error": _first_error,
    "posterior": _posterior,
    "outcome_every_step": _every_step,
    "outcome_last_step": _last_step,
}


def _distinct(problem: LabeledProblem) -> list[LabeledSolution]:
    known = {s.rollout.text: s for s in problem.solutions if s.rollout.outcome != "undetermined" and s.rollout.steps}
    return list(known.values())


def _outcome(solution: LabeledSolution) -> float:
    return float(solution.rollout.outcome == "correct")


def _row(problem: LabeledProblem, solution: LabeledSolution, labels: Sequence[float | None]) -> PrmRow:
    return PrmRow(
        prompt=problem.problem.question,
        completions=tuple(step.text.rstrip("\n") for step in solution.rollout.steps),
        labels=tuple(labels),
    )
