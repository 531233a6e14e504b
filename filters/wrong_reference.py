"""Wrong references: the policy's solutions agree, confidently and almost without dissent, on another answer.

A policy that always makes the same mistake looks the same, so dropped problems are suspect, not proven wrong:
docs/results/filters.md gives precision and recall, and how they fall with the policy's pass rate.
"""

from typing import Literal

from pydantic import Field

from stepforge.filters.dropped import Corpus, Dropped
from stepforge.filters.self_consistency import with_reference
from stepforge.grading.verdict import decide
from stepforge.grading.votes import answered, sure_votes, vote_shares, voters
from stepforge.schemas.problem import KeptColumn, Problem
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem

REFERENCE = "reference_as_given"
MAJORITY = "majority_answer"
"""Columns in which a settled or marked problem keeps the source's answer and the solutions' answer."""


class WrongReference(Record):
    """Find problems whose reference answer is likely wrong."""

    kind: Literal["wrong_reference"] = "wrong_reference"
    min_agreement: float = Field(default=0.7, gt=0, le=1)
    """Least share of the votes for one other answer."""
    max_support: float = Field(default=0.1, ge=0, lt=1)
    """Most votes for the reference, as a multiple of those for the other answer."""
    min_solutions: int = Field(default=12, ge=2)
    """Fewest solutions with an answer; with fewer, the problem passes, because a few agree on a mistake too often."""
    min_answers: int = Field(default=4, ge=2)
    """Fewest of these with a vote; with fewer, the problem passes. One with a false equation votes for the answer that
    it comes to when calculated right, or has no vote."""
    sharpness: float = Field(default=8.0, ge=0)
    """Votes are weighted by the rollout's mean token probability to this power; counted equally if the engine reports
    none."""
    then: Literal["drop", "settle", "mark"] = "drop"
    """`drop`: the row is rejected; `settle`: the other answer becomes the reference, and the given one is kept as the
    column `reference_as_given`; `mark`: the row stays, with the column `majority_answer`."""

    def __call__(self, row: SolvedProblem, corpus: Corpus) -> SolvedProblem | Dropped:
        majority = self.contradiction(row)
        if majority is None:
            return row
        if self.then == "drop":
            return Dropped(reason="solutions agree on another answer than the reference")
        settled = with_reference(row, majority) if self.then == "settle" else row
        name, value = (REFERENCE, row.problem.answer or "") if self.then == "settle" else (MAJORITY, majority)
        kept = (*row.problem.kept, KeptColumn(name=name, value=value))
        return settled.model_copy(update={"problem": settled.problem.model_copy(update={"kept": kept})})

    def contradiction(self, row: SolvedProblem) -> str | None:
        """Return the answer that the solutions agree on against the reference; None if they do not."""
        problem, rollouts = row.problem, list(filter(answered, row.own or row.rollouts))
        decides = problem.answer is not None and problem.verifier is None
        if not decides or len(rollouts) < self.min_solutions:
            return None
        supporting = {a for r in rollouts if (a := r.answer) and self._supports(problem, a)}
        most = self.max_support / (1 + self.max_support)
        if sure_votes(rollouts, supporting, most, self.sharpness):
            return None
        voting = voters(rollouts)
        if len(voting) < self.min_answers:
            return None
        shares = vote_shares(voting, problem.answer_kind, self.sharpness)
        majority, share = next(iter(shares.items()))
        if self._supports(problem, majority) or share < self.min_agreement:
            return None
        support = sum(votes for answer, votes in shares.items() if self._supports(problem, answer))
        return majority if support <= self.max_support * share else None

    def _supports(self, problem: Problem, answer: str) -> bool:
        return decide(problem.answer, answer, problem.answer_kind) != "wrong"
