"""The evidence of one problem: completions from prefixes of its solutions. No prefix is estimated twice."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

from stepforge.grading.outcomes import graded
from stepforge.labelers.evidence.prefix_index import PrefixIndex, SiblingCounts, prefix_keys
from stepforge.schemas.labeled import Cost, StepLabel, Stopping
from stepforge.schemas.protocols import Grader, Policy
from stepforge.schemas.rollout import Outcome, Rollout, SolvedProblem, Start, Step
from stepforge.schemas.seeds import seed_of

Enough = Callable[[StepLabel], bool]
"""Whether the counts so far answer the question."""


class Trajectory(NamedTuple):
    """A full path from the question to an answer: a sampled solution, or a prefix plus its completion."""

    rollout: str
    """Id of the rollout that ends it."""
    steps: tuple[Step, ...]
    outcome: Outcome
    tokens: int
    """Length in tokens of its last sampled part."""
    scores: tuple[float, ...] = ()
    """A reward model's scores of the steps, if the run has one."""

    def prefix(self, count: int) -> str:
        """Return the text of the first ``count`` steps: what identifies a prefix."""
        return "".join(step.text for step in self.steps[:count])


QUESTION = Trajectory("", (), "undetermined", 0)
"""The empty path at the question: its prefix of no steps is the root."""


class Beside(NamedTuple):
    """Texts of a rollout, beside a solution of the same problem."""

    shared: int
    """How many of the solution's steps it was given."""
    before: tuple[str, ...]
    """All steps that it was given."""
    own: tuple[str, ...]
    """Those that it wrote."""


def solution_trajectory(rollout: Rollout) -> Trajectory:
    """Return the path of a solution that starts at the question."""
    return Trajectory(rollout.id, rollout.steps, rollout.outcome, rollout.tokens, rollout.scores)


def texts_of(steps: Sequence[Step]) -> tuple[str, ...]:
    return tuple(step.text for step in steps)


def count_outcomes(rollouts: Sequence[Rollout], stopping: Stopping = "fixed") -> StepLabel:
    """Return the counts of a prefix's completions."""
    outcomes = [r.outcome for r in rollouts]
    return StepLabel(
        successes=outcomes.count("correct"),
        failures=outcomes.count("wrong"),
        undetermined=outcomes.count("undetermined"),
        truncated=sum(r.truncated for r in rollouts),
        stopping=stopping,
    )


class Evidence:
    """Samples completions on demand and keeps them all.

    The solutions that the policy itself sampled from the question are the root's first completions; if solutions were
    supplied, these are the ones it wrote in addition. Two requests for one prefix share its completions, even for
    different solutions; a completion without a verdict is kept and never redrawn, because redrawing by outcome would
    bias the success rate. ``shared=False`` turns off sharing between solutions: that is how the literature charges
    brute force.
    """

    def __init__(
        self, solved: SolvedProblem, policy: Policy, grader: Grader, seed: int, *, shared: bool = True
    ) -> None:
        self.problem = solved.problem
        self._policy = policy
        self._grader = grader
        self._seed = seed
        self._shared = shared
        sampled = (*solved.rollouts, *solved.own) if solved.policy == policy.identity else ()
        self.root = list(solved.own if solved.supplied else sampled)
        """Solutions that are samples of this policy from the bare question."""
        self._solutions = {rollout.id: rollout.steps for rollout in solved.rollouts}
        self._drawn: dict[str, list[Rollout]] = {"": []}
        self._stopping: dict[str, Stopping] = {}
        self._drawing: dict[str, asyncio.Lock] = {}
        self._first: dict[bytes, tuple[Trajectory, int]] = {}
        """For each prefix (a digest: all texts would take the square of a solution's length), the first solution that
        begins with it, and its steps there: completions start from that one, so nothing depends on which search gets
        there first."""
        for path in map(solution_trajectory, solved.rollouts if shared else ()):
            for count, key in enumerate(islice(prefix_keys(path.steps), 1, len(path.steps)), start=1):
                self._first.setdefault(key, (path, count))
        self._siblings = PrefixIndex()
        for rollout in self.root:
            self._siblings.add((), rollout)

    @property
    def rollouts(self) -> tuple[Rollout, ...]:
        """Every completion drawn, in the order of the prefixes' texts: a prefix comes before its continuations, and the
        order of answers leaves no trace."""
        return tuple(rollout for key in sorted(self._drawn) for rollout in self._drawn[key])

    @property
    def cost(self) -> Cost:
        """What drawing them cost."""
        return Cost.of(self.rollouts)

    def completions(self, path: Trajectory, count: int) -> list[Rollout]:
        """Return the completions that are known from the first ``count`` steps of a path."""
        return self._known(self._key(path, count), count)

    def _known(self, key: str, count: int) -> list[Rollout]:
        known = self._drawn.get(key, [])
        return [*self.root, *known] if count == 0 else known

    def label(self, path: Trajectory, count: int) -> StepLabel | None:
        """Return the counts of a prefix, or None if nothing was drawn from it."""
        key = self._key(path, count)
        known = self._known(key, count)
        return count_outcomes(known, self._stopping.get(key, "fixed")) if known else None

    def along(self, path: Trajectory) -> SiblingCounts:
        """Return where the problem's other solutions diverge from one of them."""
        return self._siblings.beside(path.rollout, path.steps)

    def right_beside(self, path: Trajectory) -> list[Beside]:
        """Return everything else that ended right."""
        prefixes = [path.prefix(count) for count in range(1, len(path.steps) + 1)]
        texts, found = {name: texts_of(steps) for name, steps in self._solutions.items()}, []
        for rollout in (*self.root, *self.rollouts):
            start, own = rollout.start, texts_of(rollout.steps)
            before = () if start is None else texts.get(start.rollout, ())[: start.steps]
            texts[rollout.id] = (*before, *own)
            if rollout.outcome == "correct" and rollout.id != path.rollout:
                found.append(Beside(sum(map("".join(before).startswith, prefixes)), before, own))
        return found

    async def measure(self, path: Trajectory, count: int, k: int) -> StepLabel:
        """Return the counts of a prefix, drawing as many completions as are missing from ``k``."""
        return await self._grow(path, count, k, k, lambda label: False, "fixed")

    async def settle(self, path: Trajectory, count: int, k: int, *, curtailed: bool) -> StepLabel:
        """Return the counts of ``k`` completions of a prefix; with ``curtailed``, of those up to its first success.

        That is enough for any-success labels, which do not change; expected completions are (1 - (1 - V)^k) / V.
        """
        if curtailed:
            return await self._grow(path, count, k, 1, lambda label: label.successes > 0, "first_success")
        return await self.measure(path, count, k)

    async def until(self, path: Trajectory, count: int, first: int, most: int, enough: Enough) -> StepLabel:
        """Draw ``first`` completions of a prefix, then one at a time until they are enough or ``most`` are drawn."""
        await self._grow(path, count, first, first, lambda label: False, "adaptive")
        return await self._grow(path, count, most, 1, enough, "adaptive")

    async def more(self, path: Trajectory, count: int, n: int) -> StepLabel:
        """Draw ``n`` more completions of a prefix, regardless of what is known."""
        known = len(self.completions(path, count))
        return await self._grow(path, count, known + n, n, lambda label: False, "adaptive")

    async def _grow(
        self, path: Trajectory, count: int, k: int, step: int, enough: Enough, stopping: Stopping
    ) -> StepLabel:
        key = self._key(path, count)
        drawn = self._drawn.setdefault(key, [])
        async with self._drawing.setdefault(key, asyncio.Lock()):
            while True:
                known = self._known(key, count)
                label = count_outcomes(known, self._stopping.get(key, stopping))
                if len(known) >= k or enough(label):
                    return label
                drawn += await self._draw(key, path, count, len(drawn), min(step, k - len(known)))
                self._stopping[key] = stopping

    async def _draw(self, key: str, path: Trajectory, count: int, position: int, n: int) -> list[Rollout]:
        """Return ``n`` completions; ``position`` is how many were drawn from the prefix before them."""
        seed = seed_of(self._seed, "completions", self.problem.id, key, position)
        *_, digest = prefix_keys(path.steps[:count])
        path, count = self._first.get(digest, (path, count))
        sampled = await self._policy.sample(self.problem, path.steps[:count], n=n, seed=seed)
        return await graded(self.problem, sampled, self._grader, Start(rollout=path.rollout, steps=count))

    def add(self, rollout: Rollout, before: Sequence[Step]) -> None:
        """Add a completion drawn earlier, from a prefix of these steps."""
        text = "".join(step.text for step in before)
        self._drawn.setdefault(text, []).append(rollout)

    def _key(self, path: Trajectory, count: int) -> str:
        prefix = path.prefix(count)
        return prefix if self._shared or not prefix else f"{path.rollout}\0{prefix}"
