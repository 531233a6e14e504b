"""Curtailed labels have the distribution of full ones, at the expected cost."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import isclose, sqrt

import pytest
from fakes import EqualGrader, KnownPolicy, a_solution, solved
from searches import RIGHT, breaks_at, evidence_of

from stepforge.labelers import Labeler, MathShepherd, OmegaPRM
from stepforge.labelers import Sequential as Walk
from stepforge.labelers.evidence.store import solution_trajectory
from stepforge.schemas.labeled import LabeledProblem, StepLabel

# Curtailed forms: the same labels in distribution, for fewer completions.

LETTERS, ERROR, K, RUNS = "ABCDEF", 2, 4, 300
V = [0.6, 0.6, 0.05, 0.05, 0.05]
"""V of the prefixes of 1 to 5 steps."""
ALIVE = [1 - (1 - v) ** K for v in V]
CURTAILED: list[tuple[Labeler, Labeler, str]] = [
    (MathShepherd(k=K), MathShepherd(k=K, curtailed=True), "walk"),
    (Walk(k=K, curtailed=False), Walk(k=K, curtailed=True), "walk"),
    (OmegaPRM(k=K, grow=False), OmegaPRM(k=K, grow=False, curtailed=True), "bisection"),
]
pairs = pytest.mark.parametrize(
    ("full", "curtailed", "search"), CURTAILED, ids=["math_shepherd", "sequential", "omega"]
)


def walk_law() -> list[float]:
    """P(first error): the first prefix without a success among ``K``, else the last step."""
    law, reached = [], 1.0
    for alive in ALIVE:
        law.append(reached * (1 - alive))
        reached *= alive
    return [*law, reached]


def bisection_law(right: int = 0, wrong: int = len(LETTERS), chance: float = 1.0) -> list[float]:
    if wrong - right == 1:
        return [chance if i == wrong - 1 else 0.0 for i in range(len(LETTERS))]
    middle = (right + wrong) // 2
    alive = ALIVE[middle - 1]
    up, down = bisection_law(middle, wrong, chance * alive), bisection_law(right, middle, chance * (1 - alive))
    return [a + b for a, b in zip(up, down, strict=True)]


def simulate(labeler: Labeler, seeds: Iterable[int]) -> list[LabeledProblem]:
    row = solved(RIGHT, a_solution("bad", LETTERS, "wrong"))
    policy = breaks_at(LETTERS, ERROR, 0.6, lost=0.05)

    async def everything() -> list[LabeledProblem]:
        return [await labeler(row, policy, EqualGrader(), seed=seed) for seed in seeds]

    return asyncio.run(everything())


def shares(labeled: Sequence[LabeledProblem]) -> list[float]:
    counts = Counter(row.solutions[1].verdict.first_error for row in labeled)
    return [counts[i] / len(labeled) for i in range(len(LETTERS))]


def distance(p: Sequence[float], q: Sequence[float]) -> float:
    """Total variation."""
    return sum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2


def chi_square(found: Sequence[float], law: Sequence[float], n: int) -> float:
    return sum(n * (f - p) ** 2 / p for f, p in zip(found, law, strict=True) if p)


def mean_and_error(p: float) -> tuple[float, float]:
    """Completions until the first success among at most ``K``, and the standard error of the mean of one draw."""
    law = [p * (1 - p) ** (n - 1) for n in range(1, K)] + [(1 - p) ** (K - 1)]
    mean = sum(n * q for n, q in enumerate(law, 1))
    assert isclose(mean, (1 - (1 - p) ** K) / p)
    return mean, sqrt(sum((n - mean) ** 2 * q for n, q in enumerate(law, 1)))


@pytest.fixture(scope="module")
def runs() -> Callable[[Labeler, int], list[LabeledProblem]]:
    done: dict[str, list[LabeledProblem]] = {}

    def of(labeler: Labeler, first: int) -> list[LabeledProblem]:
        key = f"{labeler!r} {first}"
        if key not in done:
            done[key] = simulate(labeler, range(first, first + RUNS))
        return done[key]

    return of


Runs = Callable[[Labeler, int], list[LabeledProblem]]


@pairs
def test_curtailed_labels_have_the_same_distribution(
    full: Labeler, curtailed: Labeler, search: str, runs: Runs
) -> None:
    law = walk_law() if search == "walk" else bisection_law()
    assert isclose(sum(law), 1)
    found = [shares(runs(full, 0)), shares(runs(curtailed, 10_000))]
    # Two samples of 300 from one law differ by 0.04 in the mean; the 99.9 % point of chi-square with 5 degrees is 20.5
    assert distance(*found) < 0.11
    for sample in found:
        assert distance(sample, law) < 0.085
        assert chi_square(sample, law, RUNS) < 20.5


@pairs
def test_curtailed_prefixes_take_the_expected_completions(
    full: Labeler, curtailed: Labeler, search: str, runs: Runs
) -> None:
    drawn: dict[int, list[int]] = {}
    for row in runs(curtailed, 10_000):
        for i, label in enumerate(row.solutions[1].labels[:-1]):
            if label is not None:
                assert label.stopping == "first_success"
                assert label.successes == 1 or (label.successes, label.failures) == (0, K)
                drawn.setdefault(i, []).append(label.trials)
    assert len(drawn) >= 4
    for i, counts in drawn.items():
        mean, spread = mean_and_error(V[i])
        assert abs(sum(counts) / len(counts) - mean) < 4 * spread / sqrt(len(counts))


@pairs
def test_full_forms_draw_exactly_k(full: Labeler, curtailed: Labeler, search: str, runs: Runs) -> None:
    measured = [label for row in runs(full, 0) for label in row.solutions[1].labels[:-1] if label is not None]
    assert {(label.trials, label.stopping) for label in measured} == {(K, "fixed")}
    spent = [
        sum(row.costs[0].cost.rollouts for row in runs(part, first)) for part, first in ((full, 0), (curtailed, 10_000))
    ]
    assert spent[1] < spent[0]


def test_a_curtailed_prefix_may_be_filled_up_and_is_then_as_good_as_a_full_one() -> None:
    path = solution_trajectory(a_solution("one", "abC", "wrong"))

    async def grow() -> list[StepLabel | None]:
        evidence = evidence_of(solved(), KnownPolicy(lambda prefix: 1.0))
        return [
            await evidence.settle(path, 1, 8, curtailed=True),
            await evidence.measure(path, 1, 8),
            await evidence.settle(path, 1, 8, curtailed=True),
            evidence.label(path, 1),
        ]

    first, full, _, kept = asyncio.run(grow())
    assert first is not None and full is not None and kept is not None
    assert (first.trials, first.stopping) == (1, "first_success")
    assert (full.trials, full.stopping) == (kept.trials, kept.stopping) == (8, "fixed")
