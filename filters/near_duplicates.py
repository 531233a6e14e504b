"""Near-duplicates over the whole run: questions that differ in a few words, or that a small model finds alike."""

from typing import Literal

from pydantic import Field

from stepforge.filters.dropped import Corpus, Dropped
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem


class NearDuplicates(Record):
    """Keep the first of nearly equal problems, and those with supplied solutions."""

    kind: Literal["near_duplicates"] = "near_duplicates"
    similarity: float = Field(default=0.8, ge=0.5, le=1)
    """Least share of three-word runs that two questions have in common (Jaccard by MinHash, Broder 1997, estimated
    to about 0.04); with ``model``, their least cosine."""
    numbers: Literal["same", "any"] = "same"
    """Whether near-duplicates have the same numbers. With `any`, a template filled in twice is one question."""
    model: str | None = None
    """Compare by meaning: folder or Hub name of a small embedding model for transformers, mean of its last states."""

    def __call__(self, row: SolvedProblem, corpus: Corpus) -> SolvedProblem | Dropped:
        if not row.supplied and row.problem.id in corpus.near_copy_of:
            return Dropped(reason="nearly the question of an earlier problem")
        return row
