"""Exact duplicates: the same question asked twice, whatever its id, white space or capitals."""

from hashlib import blake2b
from typing import Literal

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
