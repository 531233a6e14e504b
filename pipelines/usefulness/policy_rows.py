"""What a policy trains on, from labelled problems: the seam between the exports and a trainer.

``prompt`` is exactly what the policy is given when it is sampled, so nothing is re-worded. Reflection rows are a wrong
step with the policy's own right continuation of the prefix before it: the wrong step belongs to the prompt and
carries no loss.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

from labelers.evidence_tree import EvidenceTree
from pipelines.exports import Preference, StepPreference
from schemas.labeled import LabeledProblem, LabeledSolution
from schemas.record import Record
from schemas.statement import REPAIR_MARK

PolicyData = Literal["step_preference", "preference", "rejection_sampled", "reflection"]
MOST_PER_PROBLEM = 4
LEAST_SUCCESSES = 2
"""Right continuations of the prefix before an error, below which the way back is not believed."""


class Pair(Record):
    """A preference pair for DPO."""

    prompt: str
    chosen: str
    rejected: str


class CompletionRow(Record):
    """A prompt and a completion for SFT; only the completion carries loss."""

    prompt: str
    completion: str


def policy_rows(problems: Sequence[LabeledProblem], data: PolicyData) -> list[Pair] | list[CompletionRow]:
    """Return the rows of one kind. ``step_preference`` and ``reflection`` read the evidence kept with the labels."""
    if data == "step_preference":
        return [_pair(row) for problem in problems for row in StepPreference().rows(problem)]
    if data == "preference":
        return [
            _pair(row) for problem in problems for row in Preference(max_per_problem=MOST_PER_PROBLEM).rows(problem)
        ]
    if data == "rejection_sampled":
        return [row for problem in problems for row in _right_solutions(problem)]
    return [row for problem in problems for row in _reflections(problem)]


def _pair(row: object) -> Pair:
    return Pair.model_validate(row, from_attributes=True)


def _right_solutions(problem: LabeledProblem) -> Iterator[CompletionRow]:
    """A right answer and no step that a labeler calls wrong; each text once."""
    right = {s.rollout.text for s in problem.solutions if s.rollout.outcome == "correct" and s.verdict.finds_no_error}
    for text in sorted(right)[:MOST_PER_PROBLEM]:
        yield CompletionRow(prompt=_asked(problem), completion=text)


def _reflections(problem: LabeledProblem) -> Iterator[CompletionRow]:
    tree = EvidenceTree(problem)
    wrong = [s for s in problem.solutions if s.verdict.first_error is not None and s.rollout.outcome == "wrong"]
    seen: set[str] = set()
    for solution in wrong:
        row = _reflection(problem, solution, tree)
        if row is not None and row.prompt not in seen and len(seen) < MOST_PER_PROBLEM:
            seen.add(row.prompt)
            yield row


def _reflection(problem: LabeledProblem, solution: LabeledSolution, tree: EvidenceTree) -> CompletionRow | None:
    error, steps = solution.verdict.first_error or 0, solution.rollout.steps
    before = "".join(step.text for step in steps[:error])
    ways = [way for way in tree.ways(steps[:error]) if way.outcome == "correct"]
    ways = [way for way in ways if way.steps[0].text != steps[error].text]
    if len(ways) < LEAST_SUCCESSES or not steps[error].text.endswith("\n"):
        return None
    back = min(ways, key=lambda way: (len(way.steps), way.rollout))
    again = "".join(step.text for step in back.steps)
    return CompletionRow(prompt=_asked(problem) + before + steps[error].text, completion=REPAIR_MARK + again)


def _asked(problem: LabeledProblem) -> str:
    return problem.policy.prompt.replace("{question}", problem.problem.question)
