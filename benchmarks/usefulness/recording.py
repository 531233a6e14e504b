"""A recording that grows: completions that any labeler asked for, kept on disk and given to every other labeler.

Each labeler reads the completions of a prefix from the front, and is charged for all it takes; where it wants more
than there are, the engine draws them and the recording keeps them. So all labelers see the same draws, as in the
labeler bench, without every prefix of every solution having to be completed beforehand.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from stepforge.pipelines.storage.layout import shard_name
from stepforge.pipelines.storage.shards import read_shard, write_shard
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Completion, Policy, Sampling
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import PolicyIdentity, Rollout, Step
from stepforge.schemas.seeds import seed_of


class Drawn(Record):
    """One completion, and the prefix it goes on from."""

    problem_id: str
    prefix: str
    rollout: Rollout


class Recording:
    """The completions of all prefixes of all problems, in the order in which they were drawn."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.policy: Policy | None = None
        """Draws what is missing; without one, only what was drawn before is there."""
        self.seed = seed
        self._known: dict[tuple[str, str], list[Rollout]] = defaultdict(list)
        self._new: list[Drawn] = []
        self._locks: dict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._parts = sorted(folder.glob("part-*.parquet"))
        for path in self._parts:
            for drawn in read_shard(path, Drawn):
                self._known[drawn.problem_id, drawn.prefix].append(drawn.rollout)

    async def first(self, problem: Problem, prefix: Sequence[Step], count: int) -> list[Rollout]:
        """Return the first ``count`` completions of a prefix, drawing those that are missing."""
        key = (problem.id, "".join(step.text for step in prefix))
        async with self._locks[key]:
            known = self._known[key]
            if len(known) < count:
                if self.policy is None:
                    raise RuntimeError(f"{problem.id}: completions are missing, and there is no policy to draw them")
                seed = seed_of(self.seed, "recorded", *key, len(known))
                drawn = await self.policy.sample(problem, prefix, n=count - len(known), seed=seed)
                known.extend(drawn)
                self._new.extend(Drawn(problem_id=key[0], prefix=key[1], rollout=rollout) for rollout in drawn)
        return known[:count]

    def save(self) -> None:
        """Commit what was drawn since the last time."""
        if self._new:
            path = self.folder / shard_name(len(self._parts))
            write_shard(path, self._new, Drawn, {})
            self._parts.append(path)
            self._new = []


class Reader:
    """Implements ``schemas.protocols.Policy``: one labeler's way through the recording."""

    def __init__(self, recording: Recording, policy: Policy) -> None:
        self.recording = recording
        self._policy = policy
        self._taken: dict[tuple[str, str], int] = {}

    @property
    def identity(self) -> PolicyIdentity:
        """The recorded policy's."""
        return self._policy.identity

    async def sample(self, problem: Problem, prefix: Sequence[Step], *, n: int, seed: int) -> list[Rollout]:
        """Return the next ``n`` completions that this labeler has not had; ``seed`` is the recording's affair."""
        key = (problem.id, "".join(step.text for step in prefix))
        taken = self._taken.get(key, 0)
        self._taken[key] = taken + n
        return (await self.recording.first(problem, prefix, taken + n))[taken:]

    async def ask(self, text: str, *, n: int, seed: int, sampling: Sampling, chat: bool = False) -> list[Completion]:
        """Pass a judge's question on; its answers are not recorded."""
        return await self._policy.ask(text, n=n, seed=seed, sampling=sampling, chat=chat)
