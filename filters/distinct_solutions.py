"""Near-copies among the solutions of one problem: the same reasoning eight times teaches no more than once."""

from typing import Literal

from pydantic import Field

from stepforge.filters.dropped import Dropped
from stepforge.filters.shingles import jaccard, text_shingles
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution
from stepforge.schemas.record import Record


class DistinctSolutions(Record):
    """Keep the first of a problem's solutions that say nearly the same with the same verdict.

    It runs after labeling: pass rates and labels are from all solutions. A dropped solution's completions are dropped
    too.
    """

    kind: Literal["distinct_solutions"] = "distinct_solutions"
    similarity: float = Field(default=0.8, gt=0, le=1)
    """Least share of three-word runs that two solutions of one problem have in common (Jaccard)."""
    min_distinct: int = Field(default=1, ge=1)
    """Drop the problem if fewer are left."""

    def __call__(self, row: LabeledProblem) -> LabeledProblem | Dropped:
        kept: list[LabeledSolution] = []
        said: dict[object, list[frozenset[str]]] = {}
        for solution in row.solutions:
            mine, verdict = text_shingles(solution.rollout.text), solution.verdict
            alike = said.setdefault((solution.rollout.outcome, verdict.first_error, verdict.abstained), [])
            if not any(jaccard(mine, other) >= self.similarity for other in alike):
                alike.append(mine)
                kept.append(solution)
        if len(kept) < self.min_distinct:
            return Dropped(reason="too few distinct solutions")
        return row if len(kept) == len(row.solutions) else _with(row, kept)


def _with(row: LabeledProblem, solutions: list[LabeledSolution]) -> LabeledProblem:
    rooted = {solution.rollout.id for solution in solutions}
    completions: dict[str, list[object]] = {"evidence": [], "further": [], "searched": []}
    for column in completions:
        for rollout in getattr(row, column):  # a completion comes after the one it starts in
            if rollout.start is None or rollout.start.rollout in rooted:
                rooted.add(rollout.id)
                completions[column].append(rollout)
    changed = {column: tuple(found) for column, found in completions.items()}
    return row.model_copy(update={"solutions": tuple(solutions), **changed})
