"""The evidence of one problem: completions from prefixes of its solutions. No prefix is estimated twice."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from schemas.grading import graded
from schemas.labeled import Cost, StepLabel
from schemas.protocols import Grader, Policy
from schemas.rollout import Outcome, Rollout, SolvedProblem, Start, Step
from schemas.seeds import seed_of


class Path(NamedTuple):
    """A whole way from the question to an answer: a sampled solution, or a prefix with a completion of it."""

    rollout: str
    """Id of the rollout that ends it."""
    steps: tuple[Step, ...]
    outcome: Outcome
    tokens: int
    """Length in tokens of what was sampled for its last stretch."""

    def prefix(self, count: int) -> str:
        """Return the text of the first ``count`` steps: what identifies a prefix."""
        return "".join(step.text for step in self.steps[:count])


def solution_path(rollout: Rollout) -> Path:
    """Return the path of a solution that starts at the question."""
    return Path(rollout.id, rollout.steps, rollout.outcome, rollout.tokens)


def count_outcomes(rollouts: Sequence[Rollout]) -> StepLabel:
    """Return the counts of a prefix's completions."""
    outcomes = [r.outcome for r in rollouts]
    return StepLabel(
        successes=outcomes.count("correct"),
        failures=outcomes.count("wrong"),
        undetermined=outcomes.count("undetermined"),
        truncated=sum(r.truncated for r in rollouts),
    )


class Evidence:
    """Samples completions on demand and keeps them all.

    The solutions that the policy itself sampled from the question are the root's first completions. Two requests
    for one prefix share its completions, whichever solutions they speak of; a completion without a verdict is kept
    and never drawn again, because drawing again by outcome would bias the share of successes.
    """

    def __init__(self, solved: SolvedProblem, policy: Policy, grader: Grader, seed: int) -> None:
        self.problem = solved.problem
        self._policy = policy
        self._grader = grader
        self._seed = seed
        own = solved.policy == policy.identity
        self.root = list(solved.rollouts) if own else []
        """Solutions that are samples of this policy from the bare question."""
        self._drawn: dict[str, list[Rollout]] = {"": []}
        self._drawing: dict[str, asyncio.Lock] = {}

    @property
    def rollouts(self) -> tuple[Rollout, ...]:
        """Every completion drawn, in the order in which prefixes were first asked for."""
        return tuple(rollout for drawn in self._drawn.values() for rollout in drawn)

    @property
    def cost(self) -> Cost:
        """What drawing them took."""
        return Cost.of(self.rollouts)

    def completions(self, path: Path, count: int) -> list[Rollout]:
        """Return the completions that are known from the first ``count`` steps of a path."""
        key = path.prefix(count)
        known = self._drawn.get(key, [])
        return [*self.root, *known] if key == "" else known

    def label(self, path: Path, count: int) -> StepLabel | None:
        """Return the counts of a prefix, or None if nothing was drawn from it."""
        known = self.completions(path, count)
        return count_outcomes(known) if known else None

    async def measure(self, path: Path, count: int, k: int) -> StepLabel:
        """Return the counts of a prefix, drawing as many completions as are missing from ``k``."""
        key = path.prefix(count)
        self._drawn.setdefault(key, [])  # fixes the order of evidence before anything is awaited
        async with self._drawing.setdefault(key, asyncio.Lock()):
            missing = k - len(self.completions(path, count))
            if missing > 0:
                await self._draw(key, path, count, missing)
        return count_outcomes(self.completions(path, count))

    async def _draw(self, key: str, path: Path, count: int, n: int) -> None:
        seed = seed_of(self._seed, "completions", self.problem.id, key, len(self._drawn[key]))
        sampled = await self._policy.sample(self.problem, path.steps[:count], n=n, seed=seed)
        start = Start(rollout=path.rollout, steps=count)
        placed = [r.model_copy(update={"start": start}) for r in sampled]
        self._drawn[key].extend(await graded(self.problem, placed, self._grader))
