"""The contract of a source that uses a model: seed problems in, one attempt per row, accepted or refused."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, NamedTuple

from pydantic import Field

from stepforge.generators.families import AnyFamily
from stepforge.generators.policy import PromptedPolicy, engine_failure
from stepforge.generators.problem_sets import ProblemSet, SourceItem
from stepforge.generators.supplied import Brought
from stepforge.grading.votes import answered, vote_shares, voters
from stepforge.schemas.labeled import Cost
from stepforge.schemas.problem import AnswerKind, Lineage, Problem
from stepforge.schemas.protocols import Completion, Grader
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Rollout

FROM_FAMILY = 100
"""Attempts where the seeds are a family, which has no end, and no number is named."""


class Refused(NamedTuple):
    """Why an attempt failed, and the text that the model wrote."""

    reason: str
    """A short phrase without numbers."""
    text: str = ""


class Attempt(NamedTuple):
    made: SourceItem | Refused
    cost: Cost = Cost()


class Seeds(NamedTuple):
    """The seed of an attempt, and how to find another of its group."""

    seed: SourceItem
    partner: Callable[[], SourceItem | None]


class ModelSource(Record, ABC):
    """Settings that every such source has. Its rows are attempts; those that fail are rejected with a reason."""

    kind: str
    name: str = Field(min_length=1, max_length=200, pattern=r"^[^:\x00-\x1f]*$")
    """What the problems' source and ids are called."""
    seeds: Annotated[AnyFamily | ProblemSet, Field(discriminator="kind")]
    """The problems to begin from: a family or a problem set, with its own settings."""
    attempts: int | None = Field(default=None, ge=1)
    """Attempts to make, going round the seeds; by default one for each seed, of a family 100."""

    def item(self, row: int, problem: Problem, lineage: Lineage, solutions: Iterable[str]) -> SourceItem:
        """Return a seed with solutions that were made for it, as a problem of this source."""
        told = {"id": f"{self.name}:{row:07d}", "source": self.name, "lineage": lineage}
        brought = tuple(Brought(text=solution) for solution in solutions)
        return SourceItem(problem=problem.model_copy(update=told), solutions=brought)

    @abstractmethod
    async def make(self, row: int, seeds: Seeds, policy: PromptedPolicy, grader: Grader, *, seed: int) -> Attempt:
        """Make one problem."""

    @property
    def label(self) -> str:
        return self.name


def check_answered(results: Sequence[Completion] | Sequence[Rollout]) -> None:
    """Raise ``NotSampled`` where the engine failed over most of them, which says nothing about the problem."""
    failed = [result for result in results if result.finish == "error"]
    if 2 * len(failed) > len(results):
        raise engine_failure([result for result in failed if isinstance(result, Completion)])


def agreed(rollouts: Sequence[Rollout], kind: AnswerKind) -> tuple[str, float]:
    """Return the answer that most solutions end at, and their share.

    Solutions without an answer agree with nothing. Those over which the engine failed do not count, nor those that
    state a false equation and have no vote; if the latter are more than half, nothing is agreed on.

    Raises ``NotSampled`` if the engine failed over most of them.
    """
    check_answered(rollouts)
    rollouts = [rollout for rollout in rollouts if rollout.finish != "error"]
    votes = voters(rollouts)
    counted = len(votes) + sum(not answered(rollout) for rollout in rollouts)
    if not votes or 2 * counted < len(rollouts):
        return "", 0.0
    answer, share = next(iter(vote_shares(votes, kind).items()))
    return answer, share * len(votes) / counted
