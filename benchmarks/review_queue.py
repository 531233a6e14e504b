"""Whether the review queue is worth following: a simulated reviewer, right 95 % of the time, answers about single steps
of problems whose truth is known, in the order of the queue or at random.

    python -m benchmarks.review_queue             # problems of the scripted engine
    python -m benchmarks.review_queue runs/demo   # a run of yours
"""

import heapq
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt
import typer

from benchmarks.real_model import labeled_rows
from benchmarks.scripted_problems import scripted_problems
from stepforge.labelers.oracle import oracle_verdict
from stepforge.labelers.people_rule import prior, updated
from stepforge.pipelines.review.queue import labeled_error, next_doubt
from stepforge.schemas.labeled import LabeledProblem, StepClass
from stepforge.schemas.review import StepFinding

SHARES = (0.0, 0.01, 0.02, 0.03, 0.05, 0.1)
"""Of all steps that are judged."""
RIGHT = 0.95
REPEATS, RESAMPLES = 10, 1000
PROBLEMS, SEED = 600, 7


class Case(NamedTuple):
    """A solution with a wrong answer or a right one, its belief before people, its label and the truth."""

    problem: int
    belief: tuple[float, ...]
    label: int | None
    truth: int
    classes: tuple[StepClass, ...]
    wrong: bool
    """Whether its answer is wrong and the oracle finds an error: what first-error accuracy is measured on."""


def cases_of(rows: Iterable[LabeledProblem]) -> list[Case]:
    cases = []
    for number, row in enumerate(rows):
        for solution in row.solutions:
            truth = oracle_verdict(row.problem, solution.rollout)
            if solution.rollout.outcome == "undetermined" or not truth.classes:
                continue
            steps = len(solution.rollout.steps)
            first = steps if truth.first_error is None else truth.first_error
            wrong = solution.rollout.outcome == "wrong" and truth.first_error is not None
            belief = tuple(prior(solution))
            cases.append(Case(number, belief, labeled_error(solution), first, truth.classes, wrong))
    return cases


class Labels:
    """The labels as they stand while a reviewer answers."""

    def __init__(self, cases: list[Case], rng: Random) -> None:
        self.cases, self._rng = cases, rng
        self.beliefs = [list(case.belief) for case in cases]
        self.labels = [case.label for case in cases]
        self.asked: list[set[int]] = [set() for _ in cases]

    def answer(self, place: int, step: int) -> None:
        """Take in the reviewer's answer about a step; nothing about one that the oracle cannot judge."""
        self.asked[place].add(step)
        true = self.cases[place].classes[step]
        if true == "unknown":
            return
        right = (true == "right") == (self._rng.random() < RIGHT)
        finding = StepFinding(
            problem_id="p", solution_id="s", step=step, finding="right" if right else "wrong", reviewer="r", at="now"
        )
        belief = self.beliefs[place] = updated(self.beliefs[place], [finding], {})
        likeliest = max(range(len(belief)), key=belief.__getitem__)
        self.labels[place] = likeliest if belief[likeliest] >= 0.5 else None


def by_queue(labels: Labels) -> Iterator[None]:
    """Answer what is worth most, again and again."""
    heap: list[tuple[float, int, int]] = []

    def push(place: int) -> None:
        doubt = next_doubt(labels.beliefs[place], labels.labels[place], labels.asked[place])
        if doubt is not None:
            heapq.heappush(heap, (-doubt.value, place, doubt.step))

    for place in range(len(labels.cases)):
        push(place)
    while heap:
        _, place, step = heapq.heappop(heap)
        labels.answer(place, step)
        push(place)
        yield


def at_random(labels: Labels) -> Iterator[None]:
    steps = [(place, step) for place, case in enumerate(labels.cases) for step in range(len(case.classes))]
    labels._rng.shuffle(steps)
    for place, step in steps:
        labels.answer(place, step)
        yield


def random_solutions(labels: Labels) -> Iterator[None]:
    """Answer about solutions drawn at random, in each about the steps that the queue would ask about."""
    order = list(range(len(labels.cases)))
    labels._rng.shuffle(order)
    for place in order:
        while doubt := next_doubt(labels.beliefs[place], labels.labels[place], labels.asked[place]):
            labels.answer(place, doubt.step)
            yield


Counts = npt.NDArray[np.float64]
"""``[share, problem, what]``: exact first errors and erroneous solutions, right labels and all solutions."""


def curve(cases: list[Case], strategy: Callable[[Labels], Iterator[None]]) -> Counts:
    """Return the counts after each share of the steps was answered, averaged over reviewers."""
    steps, problems = sum(len(case.classes) for case in cases), cases[-1].problem + 1
    counts = np.zeros((len(SHARES), problems, 4))
    for seed in range(REPEATS):
        labels = Labels(cases, Random(seed))
        answers, given = strategy(labels), 0
        for i, share in enumerate(SHARES):
            while given < round(share * steps) and next(answers, StopIteration) is not StopIteration:
                given += 1
            for case, label in zip(cases, labels.labels, strict=True):
                exact = label == case.truth
                counts[i, case.problem] += (exact and case.wrong, case.wrong, exact, 1)
    return counts / REPEATS


def main(run: Annotated[Path | None, typer.Argument()] = None) -> None:
    cases = cases_of(scripted_problems(PROBLEMS, SEED) if run is None else labeled_rows(run))
    if not any(case.wrong for case in cases):
        sys.exit("no wrong solution with a known truth in this run")
    strategies = {"queue": by_queue, "random solutions": random_solutions, "random steps": at_random}
    curves = {name: curve(cases, strategy) for name, strategy in strategies.items()}
    steps, wrong = sum(len(case.classes) for case in cases), sum(case.wrong for case in cases)
    print(f"{len(cases)} solutions, {steps} steps, {wrong} with a wrong answer and an error")
    print(f"reviewer right {RIGHT:.0%} of the time; {REPEATS} reviewers; 95 % bootstrap intervals over problems\n")
    draws = np.random.default_rng(0).integers(0, cases[-1].problem + 1, (RESAMPLES, cases[-1].problem + 1))
    for title, (part, whole) in {"first-error accuracy": (0, 1), "labels right, all solutions": (2, 3)}.items():
        print(f"{title:28}" + "".join(f"{share:>22.0%}" for share in SHARES))
        resampled = {}
        for name, counts in curves.items():
            values = counts[:, :, part].sum(1) / counts[:, :, whole].sum(1)
            hits, of = (np.stack([c[draws].sum(1) for c in counts[:, :, place]]) for place in (part, whole))
            spread = hits / of
            resampled[name] = spread
            low, high = np.quantile(spread, [0.025, 0.975], axis=1)
            cells = (f"{v:.3f} ({a:.3f} to {b:.3f})" for v, a, b in zip(values, low, high, strict=True))
            print(f"{name:28}" + "".join(f"{cell:>22}" for cell in cells))
        two, ten = SHARES.index(0.02), SHARES.index(0.1)
        for other in ("random solutions", "random steps"):
            gap = resampled["queue"][two] - resampled[other][ten]
            low, high = np.quantile(gap, [0.025, 0.975])
            print(f"  queue at 2 % minus {other} at 10 %: {gap.mean():+.3f} ({low:+.3f} to {high:+.3f})")
        print()


if __name__ == "__main__":
    typer.run(main)
