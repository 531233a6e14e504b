"""Solutions of an unusable shape: no answer, truncated, too many or too few steps, too long, or repetitive."""

from typing import Literal

from pydantic import Field

from stepforge.filters.dropped import Corpus, Dropped
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Rollout, SolvedProblem

RUN = 6
"""Words of a run."""


class Shape(Record):
    """Drop a problem when fewer than ``min_usable`` of its solutions have a usable shape.

    Solutions are never removed singly: dropping truncated ones would raise the pass rate, a share of all of them.
    """

    kind: Literal["shape"] = "shape"
    max_steps: int = Field(default=64, ge=1)
    min_steps: int = Field(default=1, ge=1)
    max_characters: int | None = Field(default=None, ge=1)
    max_repetition: float | None = Field(default=None, gt=0, le=1)
    """Largest share of a solution's runs of six words that repeat earlier ones (compare Gopher's rules, arXiv
    2112.11446, table A1); a looping text is near 1."""
    min_usable: int = Field(default=1, ge=1)

    def __call__(self, row: SolvedProblem, corpus: Corpus) -> SolvedProblem | Dropped:
        """Drop the row, with its solutions' most frequent fault as the reason."""
        faults = [self._fault(rollout) for rollout in row.rollouts]
        if faults.count(None) >= self.min_usable:
            return row
        named = [fault for fault in faults if fault is not None]
        return Dropped(reason=max(sorted(set(named)), key=named.count) if named else "no solution")

    def _fault(self, rollout: Rollout) -> str | None:
        faults = {
            "engine error": rollout.finish == "error",
            "truncated": rollout.truncated,
            "no answer": rollout.answer is None,
            "too many steps": len(rollout.steps) > self.max_steps,
            "too few steps": len(rollout.steps) < self.min_steps,
            "too long": self.max_characters is not None and len(rollout.text) > self.max_characters,
            "repeats itself": self.max_repetition is not None and repetition(rollout.text) > self.max_repetition,
        }
        return next((fault for fault, found in faults.items() if found), None)


def repetition(text: str) -> float:
    """Return the share of a text's runs of ``RUN`` words that repeat earlier ones."""
    words = text.split()
    runs = [tuple(words[i : i + RUN]) for i in range(len(words) - RUN + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0
