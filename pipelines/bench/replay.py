"""A policy and a grader that answer from recorded completions, so every labeler is measured on the same draws.

A seed shuffles the completions of each prefix; a labeler gets them from the front, without replacement, and is charged
for each. Nothing is generated.
"""

from collections.abc import Sequence

from stepforge.labelers.evidence.replay import completions_by_prefix
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Completion, Sampling
from stepforge.schemas.rollout import Outcome, PolicyIdentity, Rollout, Step
from stepforge.schemas.seeds import rng_of


class NotRecorded(LookupError):
    """A labeler requested something that is not in the recording."""


class RecordedPolicy:
    """Implements ``schemas.protocols.Policy`` for one problem."""

    def __init__(self, row: LabeledProblem, seed: int | None) -> None:
        """Without a seed the completions keep the order in which they were drawn."""
        self.identity: PolicyIdentity = row.policy
        self._known = completions_by_prefix(row)
        if seed is not None:
            for prefix, recorded in self._known.items():
                rng_of(seed, row.problem.id, prefix).shuffle(recorded)
        self._given: dict[str, int] = {}
        self.reused = 0
        """Completions given out again, because the recording had no more for their prefix."""

    async def sample(self, problem: Problem, prefix: Sequence[Step], *, n: int, seed: int) -> list[Rollout]:
        """Return the next ``n`` recorded completions. Raises NotRecorded: there are none of this prefix."""
        text = "".join(step.text for step in prefix)
        recorded = self._known.get(text)
        if not recorded:
            raise NotRecorded(f"{problem.id}: no completions of {len(prefix)} steps")
        first = self._given.get(text, 0)
        self._given[text] = first + n
        self.reused += max(0, first + n - max(first, len(recorded)))
        return [_nth(recorded, i) for i in range(first, first + n)]

    async def ask(self, text: str, *, n: int, seed: int, sampling: Sampling, chat: bool = False) -> list[Completion]:
        """Nothing but completions is recorded. Raises NotRecorded: always."""
        raise NotRecorded("answers of a judge are not recorded")


class RecordedGrader:
    """Implements ``schemas.protocols.Grader`` from the outcomes in a recording."""

    def __init__(self, row: LabeledProblem) -> None:
        rollouts = [*row.evidence, *(s.rollout for s in row.solutions)]
        self._outcomes: dict[str, Outcome] = {r.answer: r.outcome for r in rollouts if r.answer is not None}

    async def grade(self, problem: Problem, answers: Sequence[str | None]) -> list[Outcome]:
        return ["undetermined" if answer is None else self._outcomes[answer] for answer in answers]


def _nth(recorded: list[Rollout], i: int) -> Rollout:
    """Past the end the recording starts over, under new names."""
    again, place = divmod(i, len(recorded))
    return recorded[place] if not again else recorded[place].model_copy(update={"id": f"{recorded[place].id}~{again}"})
