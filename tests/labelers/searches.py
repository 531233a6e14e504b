"""Runs of published labelers on a known policy."""

import asyncio
from collections.abc import Callable

from fakes import EqualGrader, KnownPolicy, a_solution

from stepforge.labelers import AMCS, SCAN, EpicPRM, Labeler
from stepforge.labelers import Sequential as Walk
from stepforge.labelers.bisection import bisect
from stepforge.labelers.evidence.store import Evidence
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.rollout import SolvedProblem

RIGHT = a_solution("right", "a", "correct")
EPIC = EpicPRM(probe=16, fewest=8, most=16, least_right=3)
SCAN_SMALL = SCAN(confidence_samples=16, k=8)
SEARCHING: list[Labeler] = [Walk(), Walk(curtailed=False), AMCS(), EPIC, SCAN_SMALL]


def breaks_at(solution: str, error: int, value: float = 0.9, lost: float = 0.0) -> KnownPolicy:
    """A policy with V = value before step ``error`` of the solution, and V = lost once that step is in the prefix."""
    broken = text(solution[: error + 1])
    return KnownPolicy(lambda prefix: lost if prefix.startswith(broken) else value)


def text(letters: str) -> str:
    return "".join(f"{letter}\n" for letter in letters)


def run(labeler: Labeler, row: SolvedProblem, policy: KnownPolicy, seed: int = 0) -> LabeledProblem:
    return asyncio.run(labeler(row, policy, EqualGrader(), seed=seed))


def evidence_of(row: SolvedProblem, policy: KnownPolicy, seed: int = 0, *, shared: bool = True) -> Evidence:
    return Evidence(row, policy, EqualGrader(), seed, shared=shared)


# Bisection.


def search(steps: int, answers: Callable[[int], bool | None], first: int | None = None) -> tuple[int | None, list[int]]:
    asked: list[int] = []

    async def alive(count: int) -> bool | None:
        asked.append(count)
        return answers(count)

    error, last = asyncio.run(bisect(0, steps, alive, first))
    assert last == (asked[-1] if asked else 0)
    return error, asked
