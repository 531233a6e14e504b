"""Figures of one labeler setting on one slice, with intervals from resampling problems.

The bootstrap draws problems with replacement, the same draws for every labeler, so differences are paired. A
figure is a ratio of sums over problems, so a resample needs only the sums.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepforge.pipelines.bench.cases import BenchProblem, Outcome
from stepforge.pipelines.reports.label_accuracy import Judged

Array = NDArray[np.float64]


def _flags(test: Callable[[Judged], bool], among: Callable[[Judged], bool]) -> Callable[[Judged], tuple[float, float]]:
    return lambda j: (float(test(j)), 1.0) if among(j) else (0.0, 0.0)


def _wrong(j: Judged) -> bool:
    return j.erroneous and not j.answer_correct


def _lucky(j: Judged) -> bool:
    return j.erroneous and j.answer_correct


RATIOS: dict[str, Callable[[Judged], tuple[float, float]]] = {
    "first_error_accuracy": _flags(lambda j: j.exact, _wrong),
    "correct_solution_accuracy": _flags(lambda j: j.exact, lambda j: not j.erroneous),
    "first_error_accuracy_all_erroneous": _flags(lambda j: j.exact, lambda j: j.erroneous),
    "first_error_accuracy_of_decided": _flags(lambda j: j.exact, lambda j: _wrong(j) and not j.verdict.abstained),
    "abstained": _flags(lambda j: j.verdict.abstained, _wrong),
    "right_answer_wrong_step_recall": _flags(lambda j: j.flagged, _lucky),
    "right_answer_wrong_step_precision": _flags(lambda j: j.erroneous, lambda j: j.flagged),
}
"""Shares by name: (hit, counts) of one solution."""

AMOUNTS = ("solutions", "rollouts", "generated", "uncached", "total", "asked", "askable")


class Sums(NamedTuple):
    hits: dict[str, Array]
    counts: dict[str, Array]
    amounts: dict[str, Array]


def sums(by_seed: Iterable[Sequence[Outcome]], problems: Sequence[BenchProblem]) -> Sums:
    hits = {name: np.zeros(len(problems)) for name in RATIOS}
    counts = {name: np.zeros(len(problems)) for name in RATIOS}
    amounts = {name: np.zeros(len(problems)) for name in AMOUNTS}
    for outcomes in by_seed:
        for at, (problem, outcome) in enumerate(zip(problems, outcomes, strict=True)):
            for j in outcome.judged:
                for name, ratio in RATIOS.items():
                    hit, count = ratio(j)
                    hits[name][at] += hit
                    counts[name][at] += count
            spent, both = outcome.cost, outcome.cost + problem.solving
            amounts["solutions"][at] += len(outcome.judged)
            amounts["rollouts"][at] += spent.rollouts
            amounts["asked"][at] += outcome.asked
            amounts["askable"][at] += outcome.askable
            amounts["generated"][at] += spent.generated_tokens
            amounts["uncached"][at] += spent.generated_tokens + spent.prompt_tokens - spent.cached_prompt_tokens
            amounts["total"][at] += both.generated_tokens + both.prompt_tokens - both.cached_prompt_tokens
    return Sums(hits, counts, amounts)


def resamples(members: Sequence[bool], draws: int, seed: int) -> Array:
    """Return how often each problem is drawn: once each in the first row, then ``draws`` resamples of a slice."""
    weights = np.array(members, float)
    count = int(weights.sum())
    if not count:
        return np.zeros((1, len(weights)))
    drawn = np.random.default_rng(seed).multinomial(count, weights / count, size=draws).astype(np.float64)
    return np.vstack([weights, drawn])


def raw_figures(total: Sums, weights: Array) -> dict[str, Array]:
    """Return every figure for every resample, NaN if there is nothing to measure."""
    raw = {name: ratio(weights @ total.hits[name], weights @ total.counts[name]) for name in RATIOS}
    clean = raw["correct_solution_accuracy"]
    raw["f1_wrong_answers"] = _harmonic(raw["first_error_accuracy"], clean)
    raw["f1_all_erroneous"] = _harmonic(raw.pop("first_error_accuracy_all_erroneous"), clean)
    raw["asked"] = ratio(weights @ total.amounts["asked"], weights @ total.amounts["askable"])
    solutions = weights @ total.amounts["solutions"]
    raw["rollouts_per_solution"] = ratio(weights @ total.amounts["rollouts"], solutions)
    for name in ("generated", "uncached", "total"):
        raw[f"{name}_tokens_per_solution"] = ratio(weights @ total.amounts[name], solutions)
    return raw


def figures(total: Sums, weights: Array) -> dict[str, Any]:
    """Return every figure, and under its name with ``_interval`` its 95 % interval; None where nothing is measured."""
    row: dict[str, Any] = {}
    for name, values in raw_figures(total, weights).items():
        known = values[1:][~np.isnan(values[1:])]
        row[name] = None if np.isnan(values[0]) else rounded(values[0])
        ends = np.percentile(known, [2.5, 97.5]) if len(known) and row[name] is not None else []
        row[f"{name}_interval"] = [rounded(end) for end in ends] or None
    return row


def counted(total: Sums, weights: Array, seeds: int) -> dict[str, int]:
    own = weights[0]
    wrong, right = total.counts["first_error_accuracy"], total.counts["correct_solution_accuracy"]
    return {
        "problems": int(own.sum()),
        "wrong_solutions": round(float(own @ wrong) / seeds),
        "correct_solutions": round(float(own @ right) / seeds),
    }


def rounded(value: float) -> float:
    """Return a figure rounded for output: four digits below 10, one above."""
    return round(float(value), 4 if abs(value) < 10 else 1)


def ratio(over: Array, under: Array) -> Array:
    shares: Array = np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 0)
    return shares


def _harmonic(a: Array, b: Array) -> Array:
    return np.where(a + b == 0, 0.0, ratio(2 * a * b, a + b))
