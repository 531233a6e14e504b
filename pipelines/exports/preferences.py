"""Preference exports: next-step pairs that share a prefix, and pairs of whole solutions."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from pipelines.exports.evidence_tree import EvidenceTree
from pipelines.exports.rows import PairRow
from schemas.labeled import LabeledProblem, LabeledSolution, StepLabel
from schemas.record import Record


class StepPreference(Record):
    """At the first error: the wrong step against the best step that the policy itself wrote from the same prefix.

    Both are on-policy, and the prefix is the same text. The prompt ends where the pair begins, and the pair is one
    step: a trainer that appends an end-of-text token to non-chat rows (TRL's DPO) teaches to stop there unless told
    not to.
    """

    kind: Literal["step_preference"] = "step_preference"
    row: ClassVar[type[Record]] = PairRow
    name: str = "step_preference"
    min_margin: float = Field(default=0.0, ge=-1, le=1)
    """Smallest distance between the two 95 % intervals; 0 keeps pairs whose intervals do not overlap."""

    def rows(self, problem: LabeledProblem) -> Iterator[PairRow]:
        """Yield at most one pair for each first error; equal pairs once."""
        tree = EvidenceTree(problem)
        seen = set()
        for solution in problem.solutions:
            pair = self._pair(problem, solution, tree)
            if pair is not None and (pair.prompt, pair.chosen, pair.rejected) not in seen:
                seen.add((pair.prompt, pair.chosen, pair.rejected))
                yield pair

    def _pair(self, problem: LabeledProblem, solution: LabeledSolution, tree: EvidenceTree) -> PairRow | None:
        error = solution.verdict.first_error
        if error is None:
            return None
        steps = solution.rollout.steps
        prefix = "".join(step.text for step in steps[:error])
        following = tree.next_steps(prefix)
        wrong = _added(following.pop(steps[error].text, None), solution.labels[error])
        if not following or not wrong.trials:
            return None
        text, right = max(following.items(), key=lambda item: _low(item[1]))
        margin = _low(right) - _high(wrong)
        if margin < self.min_margin:
            return None
        return PairRow(
            prompt=_asked(problem) + prefix,
            chosen=text,
            rejected=steps[error].text,
            kind="step",
            margin=margin,
            chosen_value=right.value or 0.0,
            rejected_value=wrong.value or 0.0,
            step=error,
            **_origin(problem, solution),
        )


class Preference(Record):
    """A solution without an error against a wrong one, of the same problem."""

    kind: Literal["preference"] = "preference"
    row: ClassVar[type[Record]] = PairRow
    name: str = "preference"
    max_per_problem: int = Field(default=2, ge=1)

    def rows(self, problem: LabeledProblem) -> Iterator[PairRow]:
        """Yield pairs in the order of the solutions, each solution at most once."""
        chosen = _distinct(
            [s for s in problem.solutions if s.verdict.finds_no_error and s.rollout.outcome == "correct"]
        )
        rejected = _distinct([s for s in problem.solutions if s.rollout.outcome == "wrong"])
        for good, bad in list(zip(chosen, rejected, strict=False))[: self.max_per_problem]:
            yield PairRow(
                prompt=_asked(problem),
                chosen=good.rollout.text,
                rejected=bad.rollout.text,
                kind="solution",
                margin=1.0,
                chosen_value=1.0,
                rejected_value=0.0,
                step=None,
                **_origin(problem, good),
            )


def _asked(problem: LabeledProblem) -> str:
    """The prompt as the policy saw it, so that pairs train the policy that wrote them."""
    return problem.policy.prompt.replace("{question}", problem.problem.question)


def _origin(problem: LabeledProblem, solution: LabeledSolution) -> dict[str, str | int | None]:
    return {
        "domain": problem.problem.domain,
        "difficulty": problem.problem.difficulty,
        "problem_id": problem.problem.id,
        "labeler": solution.verdict.labeler,
    }


def _distinct(solutions: list[LabeledSolution]) -> list[LabeledSolution]:
    return list({solution.rollout.text: solution for solution in solutions}.values())


def _added(first: StepLabel | None, second: StepLabel | None) -> StepLabel:
    labels = [label for label in (first, second) if label is not None]
    return StepLabel(successes=sum(x.successes for x in labels), failures=sum(x.failures for x in labels))


def _low(label: StepLabel) -> float:
    return label.interval[0] if label.interval else 0.0


def _high(label: StepLabel) -> float:
    return label.interval[1] if label.interval else 1.0
