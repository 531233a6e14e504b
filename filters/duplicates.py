"""Duplicates over the whole run: the same question twice, but for white space and capitals; and nearly the same."""

from hashlib import blake2b
from typing import Literal

from pydantic import Field

from stepforge.filters.dropped import Corpus, Dropped
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem


def question_key(question: str) -> str:
    """Hash of a question without case and runs of white space; equal questions share it."""
    folded = " ".join(question.casefold().split())
    return blake2b(folded.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class Duplicates(Record):
    """Keep the first problem with the same question, and all with supplied solutions, which dropping the problem would
    lose.
    """

    kind: Literal["duplicates"] = "duplicates"

    def __call__(self, row: SolvedProblem, corpus: Corpus) -> SolvedProblem | Dropped:
        if not row.supplied and row.problem.id in corpus.duplicate_of:
            return Dropped(reason="duplicate question")
        return row


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
