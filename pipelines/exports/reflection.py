"""Traces in which a mistake is corrected: from the search tree, or after the verifier's message.

The tree has everything: a solution that goes wrong, and completions of the prefix before the error that reach the right
answer. The wrong step is in the prompt, so with the loss on the completion a model learns to notice and go back, not to
err. The policy wrote every line except the notice, but not in this sequence.
"""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from stepforge.labelers.evidence.siblings import Fork
from stepforge.labelers.evidence.tree import Continuation
from stepforge.pipelines.exports.balance import Axis, first_by_hash
from stepforge.pipelines.exports.chat import Chat
from stepforge.pipelines.exports.contract import Export, Origin, asked, origin, own_columns_first
from stepforge.pipelines.exports.step_pairs import Forks
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Step
from stepforge.schemas.seeds import rng_of

NOTICE = "Wait, that is not right. Going back to before it:\n"


@own_columns_first
class ReflectionRow(Origin):
    """A prompt that ends in a mistake, and a completion that fixes it."""

    prompt: str
    """What the policy was given, the right prefix, and the wrong step or steps."""
    completion: str
    """The notice, then a path from the prefix to the right answer."""
    step: int
    """0-based index of the first wrong step."""
    wrong_steps: int
    """Steps from the first wrong one to the notice."""
    rejected_value: float
    """V with the wrong step in place."""
    chosen_value: float
    """V with the right one."""
    certainty: float


class Reflection(Chat, Forks):
    """One trace for each first error whose wrong and right steps are clearly apart.

    As conversations, the wrong steps and the correction are two assistant turns, with ms-swift's ``loss`` in each turn.
    """

    kind: Literal["reflection"] = "reflection"
    row = ReflectionRow
    answers = "masked"
    even: tuple[Axis, ...] = ("position", "difficulty")
    notice: str = NOTICE
    """Opens the completion; for the embedded policy use ``Wait: ``, as its families do."""
    longest_delay: int = Field(default=1, ge=1)
    """Most wrong steps before the notice; the number is drawn uniformly for each trace."""

    def rows(self, problem: LabeledProblem) -> Iterator[Record]:
        """Yield the problem's traces; after a final step there is nothing left to correct."""
        forks = [(s, fork, way) for s, fork, way in self.forks(problem) if fork.error < len(s.rollout.steps) - 1]
        found = {self._row(problem, *fork): fork for fork in forks}
        for row in first_by_hash(list(found), self.max_per_problem):
            solution, fork, way = found[row]
            shown = solution.rollout.steps[: fork.error + row.wrong_steps]
            yield from self.laid_out(row, problem, shown, (Step(text=self.notice), *way.steps))

    def _row(self, problem: LabeledProblem, solution: LabeledSolution, fork: Fork, way: Continuation) -> ReflectionRow:
        left = len(solution.rollout.steps) - 1 - fork.error
        count = rng_of("reflection", solution.rollout.id).randint(1, min(self.longest_delay, left))
        shown = solution.rollout.steps[: fork.error + count]
        return ReflectionRow(
            prompt=asked(problem) + "".join(step.text for step in shown),
            completion=self.notice + "".join(step.text for step in way.steps),
            step=fork.error,
            wrong_steps=count,
            rejected_value=fork.wrong.value,
            chosen_value=0.0 if fork.right is None else fork.right.value,
            certainty=fork.margin,
            **origin(problem, solution),
        )


@own_columns_first
class RepairRow(Origin):
    prompt: str
    """What the policy was given: the question, its first solution, and the verifier's message."""
    completion: str
    """Its second solution."""
    message: str
    """Why the first was wrong, in the verifier's words."""


class Repairs(Export):
    """One row for each wrong solution that the policy repaired after learning why it failed."""

    kind: Literal["repairs"] = "repairs"
    row = RepairRow

    def rows(self, problem: LabeledProblem) -> Iterator[Record]:
        for solution in problem.solutions:
            repair = solution.rollout.repair
            if repair is not None and repair.outcome == "correct":
                yield RepairRow(
                    prompt=repair.prompt, completion=repair.text, message=repair.message, **origin(problem, solution)
                )
