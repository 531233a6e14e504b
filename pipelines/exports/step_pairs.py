"""Pairs of single steps at a first error: the wrong step, and the best one the policy itself wrote in its place.

The two share exactly the same prefix and were both sampled from this policy. A pair is kept only if the credible
intervals of the two values do not overlap; it carries the distance between them. A few per problem, balanced over the
run.
"""

from collections.abc import Iterator
from typing import Literal, TypeVar

from pydantic import Field

from stepforge.labelers.evidence.siblings import Fork
from stepforge.labelers.evidence.tree import Continuation
from stepforge.pipelines.exports.balance import Evened, first_by_hash
from stepforge.pipelines.exports.chat import Chat
from stepforge.pipelines.exports.contract import Origin, asked, origin, own_columns_first
from stepforge.pipelines.exports.last_problem import forks_of
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Step

R = TypeVar("R", bound=Record)


class Distance(Record):
    """How far apart the two steps of a pair are."""

    certainty: float
    """Lower bound of the chosen value minus the upper bound of the rejected one (90 % credible intervals), above 0. Not
    called margin: three reward trainers would use a column of that name in their loss."""
    chosen_value: float
    rejected_value: float
    chosen_length: int
    """Of the step, in characters."""
    rejected_length: int
    step: int
    """0-based index of the step that differs."""


@own_columns_first
class StepPairRow(Distance, Origin):
    """A pair with an explicit prompt, as TRL reads it: ``prompt``, ``chosen``, ``rejected``."""

    prompt: str
    """What the policy was given: the question in its prompt, and the shared prefix."""
    chosen: str
    """Only the right step. TRL's DPO appends the end of text here; the card shows how to undo it."""
    rejected: str
    full_chosen: str
    """A path from the prompt through the right step to the right answer: an end of text after it is correct."""
    full_rejected: str
    kind: str
    """``step``: the next step only."""


@own_columns_first
class StepDPORow(Distance, Origin):
    """The columns of Step-DPO's data (arXiv 2406.18629); the model is given ``prompt`` + ``initial_reason_steps``."""

    dataset: str
    prompt: str
    """The bare question."""
    initial_reason_steps: str
    chosen: str
    rejected: str
    full_chosen: str
    full_rejected: str
    answer: str


@own_columns_first
class PairwiseRow(Distance, Origin):
    """A pair for a Bradley-Terry reward model, with the probability that ``chosen`` is the better one."""

    prompt: str
    chosen: str
    rejected: str
    probability: float
    """(1 + p - q) / 2 for values p of the chosen and q of the rejected step (arXiv 2406.06592, appendix B)."""


@own_columns_first
class Pair(Distance):
    shared: tuple[Step, ...]
    """The prefix that both have in common."""
    right: tuple[Step, ...]
    """From the right step to the end."""
    wrong: tuple[Step, ...]
    prefix: str
    chosen: str
    rejected: str
    full_chosen: str
    full_rejected: str


class Forks(Evened):
    needs_completions = True
    min_margin: float = Field(default=0.0, ge=-1, lt=1)
    """The distance between the two intervals must exceed this; below 0 they may overlap."""
    max_per_problem: int = Field(default=4, ge=1)

    def forks(self, problem: LabeledProblem) -> Iterator[tuple[LabeledSolution, Fork, Continuation]]:
        """Yield each first error whose two sides are far enough apart, with a right continuation; duplicates once."""
        seen = set()
        for solution, fork in forks_of(problem):
            if fork.right is None or fork.margin <= self.min_margin:
                continue
            key = (_text(fork.prefix), fork.wrong.step.text)
            if key not in seen:
                seen.add(key)
                yield solution, fork, next(way for way in fork.right.ways if way.outcome == "correct")

    def pairs(self, problem: LabeledProblem) -> Iterator[tuple[LabeledSolution, Pair]]:
        found = {_pair(solution, fork, way): solution for solution, fork, way in self.forks(problem)}
        for pair in first_by_hash(list(found), self.max_per_problem):
            yield found[pair], pair


class StepPreference(Chat, Forks):
    """TRL's columns. As conversations, each answer is the shared prefix and then a full path to its end."""

    kind: Literal["step_preference"] = "step_preference"
    row = StepPairRow
    answers = "two"

    def rows(self, problem: LabeledProblem) -> Iterator[Record]:
        for solution, pair in self.pairs(problem):
            row = _row(StepPairRow, pair, problem, solution, prompt=asked(problem) + pair.prefix, kind="step")
            yield from self.laid_out(row, problem, (*pair.shared, *pair.right), (*pair.shared, *pair.wrong))


class StepDPO(Forks):
    """The columns of Step-DPO's own data set and trainer, which appends no end of text."""

    kind: Literal["step_dpo"] = "step_dpo"
    row = StepDPORow

    def rows(self, problem: LabeledProblem) -> Iterator[StepDPORow]:
        for solution, pair in self.pairs(problem):
            of = problem.problem
            own = {"dataset": of.source, "prompt": of.question, "answer": of.answer or ""}
            yield _row(StepDPORow, pair, problem, solution, initial_reason_steps=pair.prefix, **own)


class Pairwise(Chat, Forks):
    """For a reward model under Bradley-Terry; a negative ``min_margin`` admits pairs that only a soft target can use.

    As conversations, each answer ends after the judged step.
    """

    kind: Literal["pairwise"] = "pairwise"
    row = PairwiseRow
    answers = "two"

    def rows(self, problem: LabeledProblem) -> Iterator[Record]:
        for solution, pair in self.pairs(problem):
            if pair.chosen_value < pair.rejected_value:
                continue
            better = (1 + pair.chosen_value - pair.rejected_value) / 2
            prompt = asked(problem) + pair.prefix
            row = _row(PairwiseRow, pair, problem, solution, prompt=prompt, probability=better)
            yield from self.laid_out(row, problem, (*pair.shared, pair.right[0]), (*pair.shared, pair.wrong[0]))


def _pair(solution: LabeledSolution, fork: Fork, way: Continuation) -> Pair:
    wrong = solution.rollout.steps[fork.error :]
    return Pair(
        shared=fork.prefix,
        right=way.steps,
        wrong=wrong,
        prefix=_text(fork.prefix),
        chosen=way.steps[0].text,
        rejected=fork.wrong.step.text,
        full_chosen=_text(way.steps),
        full_rejected=_text(wrong),
        certainty=fork.margin,
        chosen_value=0.0 if fork.right is None else fork.right.value,
        rejected_value=fork.wrong.value,
        chosen_length=len(way.steps[0].text),
        rejected_length=len(fork.wrong.step.text),
        step=fork.error,
    )


def _row(row: type[R], pair: Pair, problem: LabeledProblem, solution: LabeledSolution, **own: object) -> R:
    """Return a row of a pair: the columns that it shares with the pair, its own, and its origin."""
    shared = pair.model_dump(include=set(row.model_fields))
    return row.model_validate({**shared, **own, **origin(problem, solution)})


def _text(steps: tuple[Step, ...]) -> str:
    return "".join(step.text for step in steps)
