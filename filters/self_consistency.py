"""Self-consistency (arXiv 2203.11171): the majority answer, and how many agree with it.

A problem without a reference gets the majority answer as its reference, and its rollouts their outcomes; a problem
with one may be dropped where a clear majority disagrees with it (a wrong reference, or a question too hard).
"""

from collections import Counter
from typing import Literal

from pydantic import Field

from stepforge.filters.dropped import Corpus, Dropped
from stepforge.schemas.exact import ExactError, evaluate
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
        """Supply a missing reference, or weigh the one there is."""
        answers = [normal_answer(r.answer) for r in row.rollouts if r.answer is not None and r.finish == "stop"]
        if row.problem.answer is not None:
            return self._weighed(row, answers)
        if len(answers) < self.min_answers:
            return Dropped(reason="too few answers for a majority")
        (majority, count), *_ = Counter(answers).most_common(1)
        if count / len(answers) < self.min_agreement:
            return Dropped(reason="no majority answer")
        return _with_reference(row, majority)

    def _weighed(self, row: SolvedProblem, answers: list[str]) -> SolvedProblem | Dropped:
        if self.drop_contradicted is None or len(answers) < self.min_answers:
            return row
        against = [normal_answer(r.answer) for r in row.rollouts if r.outcome == "wrong" and r.answer is not None]
        most = Counter(against).most_common(1)
        if most and most[0][1] / len(answers) >= self.drop_contradicted:
            return Dropped(reason="majority contradicts the reference")
        return row


def normal_answer(answer: str | None) -> str:
    """Return one spelling for answers that are equal: the exact value where it can be read, else folded text."""
    text = (answer or "").strip().strip("$").strip()
    try:
        return str(evaluate(text.replace(",", "")))
    except ExactError:
        return " ".join(text.rstrip(".").casefold().split())


def _with_reference(row: SolvedProblem, majority: str) -> SolvedProblem:
    rollouts = tuple(r.model_copy(update={"outcome": _outcome(r, majority)}) for r in row.rollouts)
    written = next(r.answer for r in row.rollouts if r.answer is not None and normal_answer(r.answer) == majority)
    problem = row.problem.model_copy(update={"answer": written})
    return row.model_copy(update={"problem": problem, "rollouts": rollouts})


def _outcome(rollout: Rollout, majority: str) -> Outcome:
    if rollout.finish != "stop":
        return "undetermined"
    return "correct" if rollout.answer is not None and normal_answer(rollout.answer) == majority else "wrong"
