"""A filter before labels: drops problems whose solutions are all right or all wrong."""

from typing import Literal

from stepforge.filters.dropped import Corpus, Dropped
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem


class MixedOutcomes(Record):
    kind: Literal["mixed_outcomes"] = "mixed_outcomes"

    def __call__(self, row: SolvedProblem, corpus: Corpus) -> SolvedProblem | Dropped:
        outcomes = {rollout.outcome for rollout in row.rollouts}
        return row if {"correct", "wrong"} <= outcomes else Dropped(reason="all solutions end alike")
