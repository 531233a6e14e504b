"""Self-consistency (arXiv 2203.11171): the majority answer, and how many agree with it.

A problem without a reference gets the majority answer as its reference, and its rollouts their outcomes; a problem
with one may be dropped where a clear majority disagrees with it (a wrong reference, or a question too hard).
Answers are grouped as the grader compares them, never by spelling.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from stepforge.filters.dropped import Corpus, Dropped
from stepforge.grading.verdict import decide
from stepforge.grading.votes import equal_answers
from stepforge.schemas.problem import Problem
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Outcome, Rollout, SolvedProblem


class SelfConsistency(Record):
    """Keep problems on whose answer enough rollouts agree."""

    kind: Literal["self_consistency"] = "self_consistency"
    min_agreement: float = Field(default=0.5, gt=0, le=1)
    """Smallest share of the rollouts with an answer that must agree, where the reference comes from them."""
    min_answers: int = Field(default=3, ge=1)
    """Fewest rollouts with an answer on which a majority is believed."""
    drop_contradicted: float | None = Field(default=None, gt=0, le=1)
    """Drop a problem whose reference is contradicted by at least this share; None keeps them all."""

    def __call__(self, row: SolvedProblem, corpus: Corpus) -> SolvedProblem | Dropped:
        """Supply a missing reference, or weigh the one there is; a problem with a verifier needs none."""
        if row.problem.verifier is not None:
            return row
        answers = [r.answer for r in row.rollouts if r.answer is not None and r.finish == "stop"]
        if row.problem.answer is not None:
            return self._weighed(row, len(answers))
        if len(answers) < self.min_answers:
            return Dropped(reason="too few answers for a majority")
        majority, count = _majority(row.problem, answers)
        if count / len(answers) < self.min_agreement:
            return Dropped(reason="no majority answer")
        return _with_reference(row, majority)

    def _weighed(self, row: SolvedProblem, answers: int) -> SolvedProblem | Dropped:
        against = [r.answer for r in row.rollouts if r.outcome == "wrong" and r.answer is not None]
        if self.drop_contradicted is None or answers < self.min_answers or not against:
            return row
        if _majority(row.problem, against)[1] / answers >= self.drop_contradicted:
            return Dropped(reason="majority contradicts the reference")
        return row


def _majority(problem: Problem, answers: Sequence[str]) -> tuple[str, int]:
    """Return the answer that most agree on, in its most frequent spelling, and how many they are."""
    leaders = equal_answers(answers, problem.answer_kind)
    return Counter(leaders[answer] for answer in answers).most_common(1)[0]


def _with_reference(row: SolvedProblem, majority: str) -> SolvedProblem:
    problem = row.problem.model_copy(update={"answer": majority})
    rollouts = tuple(r.model_copy(update={"outcome": _outcome(problem, r)}) for r in row.rollouts)
    return row.model_copy(update={"problem": problem, "rollouts": rollouts})


def _outcome(problem: Problem, rollout: Rollout) -> Outcome:
    if rollout.finish != "stop":
        return "undetermined"
    if rollout.answer is None:
        return "wrong"
    if rollout.answer == problem.answer:
        return "correct"
    return decide(problem.answer, rollout.answer, problem.answer_kind) or "undetermined"
