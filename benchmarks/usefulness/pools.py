"""Pools of solved problems: drawn from families, solved by the policy, committed chunk by chunk."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path

from pydantic import Field

from benchmarks.usefulness.kept import Opening, keep_under
from stepforge.filters.duplicates import question_key
from stepforge.generators.families import AnyFamily
from stepforge.pipelines.run.stages import solve
from stepforge.pipelines.storage.layout import shard_name
from stepforge.pipelines.storage.shards import read_shard, write_shard
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Grader
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem

ROLLOUTS_PER_CHUNK = 1024
"""Enough under way at a time to keep the engine full."""


class Pool(Record):
    """Problems of one purpose, and how many solutions each gets."""

    seed: int
    problems: int = Field(ge=1)
    solutions: int = Field(ge=1)
    shortest_chain: int = Field(default=0, ge=0)
    """Fewest steps of the reference solution, the answer's line included."""
    longest_chain: int = Field(default=1000, ge=1)
    families: tuple[AnyFamily, ...] = Field(min_length=1)


def chain_length(problem: Problem) -> int:
    """Return the steps of the reference solution, the answer's line included."""
    return sum(q.needed for q in problem.truth.quantities) + 1 if problem.truth else 0


def problems_of(pool: Pool) -> list[Problem]:
    """Return the pool's problems, families taking turns, no question twice."""
    return list(islice(_distinct(pool), pool.problems))


def _distinct(pool: Pool) -> Iterator[Problem]:
    asked: set[str] = set()
    for index in count():
        problem = pool.families[index % len(pool.families)].item(pool.seed, index)
        key = question_key(problem.question)
        if key not in asked and pool.shortest_chain <= chain_length(problem) <= pool.longest_chain:
            asked.add(key)
            yield problem


async def solved_pool(
    pool: Pool,
    folder: Path,
    opening: Opening,
    grader: Grader,
    say: Callable[[str], None],
) -> list[SolvedProblem]:
    """Return the pool solved: what is committed in ``folder``, and the rest drawn now.

    Raises:
        BadInput: the folder holds another pool, or the engine cannot be started.
    """
    keep_under(folder, pool, *opening.settings())
    problems = problems_of(pool)
    size = max(1, ROLLOUTS_PER_CHUNK // pool.solutions)
    chunks = [problems[i : i + size] for i in range(0, len(problems), size)]
    rows: list[SolvedProblem] = []
    for number, chunk in enumerate(chunks):
        path = folder / shard_name(number)
        if not path.exists():
            policy = await opening.policy()
            solving = (solve(p, [], policy, grader, n=pool.solutions, seed=pool.seed) for p in chunk)
            write_shard(path, await asyncio.gather(*solving), SolvedProblem, {"digest": policy.identity.digest})
            say(f"{folder.name}: {number + 1} of {len(chunks)} chunks of {size} problems")
        rows += read_shard(path, SolvedProblem)
    return rows


def without(rows: list[SolvedProblem], others: list[SolvedProblem]) -> list[SolvedProblem]:
    """Return the rows whose question none of the others asks."""
    asked = {question_key(row.problem.question) for row in others}
    return [row for row in rows if question_key(row.problem.question) not in asked]
