"""Figures of one labeler setting on one slice, with intervals from resampling problems.

The bootstrap draws problems with replacement, the same draws for every labeler, so that differences are paired. A
figure is a ratio of sums over problems, so a resample needs only the sums.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepforge.pipelines.bench.cases import BenchProblem, Outcome
from stepforge.pipelines.reports.label_accuracy import Judged, harmonic_mean

Array = NDArray[np.float64]


class Figure(NamedTuple):
    """A figure and its 95 % interval."""

    value: float | None
    low: float | None
    high: float | None


def _flags(test: Callable[[Judged], bool], among: Callable[[Judged], bool]) -> Callable[[Judged], tuple[float, float]]:
    return lambda j: (float(test(j)), 1.0) if among(j) else (0.0, 0.0)


def _wrong(j: Judged) -> bool:
    return j.erroneous and not j.answer_correct


def _lucky(j: Judged) -> bool:
    return j.erroneous and j.answer_correct


def _clean(j: Judged) -> bool:
    return not j.erroneous


def _distance(j: Judged) -> tuple[float, float]:
    mine, true = j.verdict.first_error, j.truth.first_error
    return (float(abs(mine - true)), 1.0) if _wrong(j) and mine is not None and true is not None else (0.0, 0.0)


def _later(j: Judged) -> bool:
    mine, true = j.verdict.first_error, j.truth.first_error
    return mine is not None and true is not None and mine > true


def _earlier(j: Judged) -> bool:
    mine, true = j.verdict.first_error, j.truth.first_error
    return mine is not None and true is not None and mine < true


RATIOS: dict[str, Callable[[Judged], tuple[float, float]]] = {
    "first_error_accuracy": _flags(lambda j: j.exact, _wrong),
    "correct_solution_accuracy": _flags(lambda j: j.exact, _clean),
    "first_error_accuracy_all_erroneous": _flags(lambda j: j.exact, lambda j: j.erroneous),
    "first_error_within_one": _flags(lambda j: j.near, _wrong),
    "first_error_accuracy_of_decided": _flags(lambda j: j.exact, lambda j: _wrong(j) and not j.verdict.abstained),
    "first_error_distance": _distance,
    "named_too_late": _flags(_later, _wrong),
    "named_too_early": _flags(_earlier, _wrong),
    "abstained_on_wrong": _flags(lambda j: j.verdict.abstained, _wrong),
    "abstained_share": _flags(lambda j: j.verdict.abstained, lambda j: True),
    "right_answer_wrong_step_recall": _flags(lambda j: j.flagged, _lucky),
    "right_answer_wrong_step_precision": _flags(lambda j: j.erroneous, lambda j: j.flagged),
}
"""Shares by name: (hit, counts) of one solution."""


class Sums(NamedTuple):
    """Per problem: what the figures are ratios of."""

    hits: dict[str, Array]
    counts: dict[str, Array]
    amounts: dict[str, Array]
    """Solutions, rollouts, generated tokens, exact first errors of wrong solutions."""


AMOUNTS = ("solutions", "rollouts", "tokens", "exact")


def sums(outcomes: Sequence[Outcome], problems: int) -> Sums:
    """Add up one seed's outcomes a problem."""
    hits = {name: np.zeros(problems) for name in RATIOS}
    counts = {name: np.zeros(problems) for name in RATIOS}
    amounts = {name: np.zeros(problems) for name in AMOUNTS}
    for outcome in outcomes:
        at = outcome.problem
        for j in outcome.judged:
            for name, ratio in RATIOS.items():
                hit, count = ratio(j)
                hits[name][at] += hit
                counts[name][at] += count
            amounts["exact"][at] += _wrong(j) and j.exact
        amounts["solutions"][at] += len(outcome.judged)
        amounts["rollouts"][at] += outcome.cost.rollouts
        amounts["tokens"][at] += outcome.cost.generated_tokens
    return Sums(hits, counts, amounts)


def mean_sums(several: Sequence[Sums]) -> Sums:
    """Add the seeds up: a problem's figures are over all of them."""
    return Sums(*(_added([s[part] for s in several]) for part in range(3)))


def _added(several: Sequence[dict[str, Array]]) -> dict[str, Array]:
    return {name: np.sum([one[name] for one in several], axis=0) for name in several[0]}


def resamples(problems: Sequence[BenchProblem], name: str, draws: int, seed: int) -> Array:
    """Return how often each problem is drawn: the first row as they are, then ``draws`` resamples of a slice."""
    members = np.array([float(name in p.slices) for p in problems])
    count = int(members.sum())
    if not count:
        return np.zeros((1, len(problems)))
    drawn = np.random.default_rng(seed).multinomial(count, members / count, size=draws).astype(np.float64)
    return np.vstack([members, drawn])


def figures(total: Sums, weights: Array) -> dict[str, Figure]:
    """Return every figure with its interval."""
    raw = raw_figures(total, weights)
    return {name: _figure(values) for name, values in raw.items()}


def raw_figures(total: Sums, weights: Array) -> dict[str, Array]:
    """Return every figure for every resample, NaN where there is nothing to measure."""
    raw = {name: _ratio(weights @ total.hits[name], weights @ total.counts[name]) for name in RATIOS}
    raw["processbench_f1"] = _harmonic(raw["first_error_accuracy"], raw["correct_solution_accuracy"])
    raw["processbench_f1_all_erroneous"] = _harmonic(
        raw["first_error_accuracy_all_erroneous"], raw["correct_solution_accuracy"]
    )
    solutions = weights @ total.amounts["solutions"]
    raw["rollouts_per_solution"] = _ratio(weights @ total.amounts["rollouts"], solutions)
    raw["generated_tokens_per_solution"] = _ratio(weights @ total.amounts["tokens"], solutions)
    raw["generated_tokens_per_correct_first_error"] = _ratio(
        weights @ total.amounts["tokens"], weights @ total.amounts["exact"]
    )
    return raw


def difference(a: Sums, b: Sums, weights: Array, name: str) -> Figure:
    """Return a figure of ``a`` minus that of ``b``, paired by problem."""
    return _figure(raw_figures(a, weights)[name] - raw_figures(b, weights)[name])


def counted(total: Sums, weights: Array, seeds: int) -> dict[str, int]:
    """Return how many solutions a slice's figures are over."""
    own = weights[0]
    return {
        "problems": int(own.sum()),
        "wrong_solutions": round(float(own @ total.counts["first_error_accuracy"]) / seeds),
        "correct_solutions": round(float(own @ total.counts["correct_solution_accuracy"]) / seeds),
        "right_answer_through_wrong_step": round(float(own @ total.counts["right_answer_wrong_step_recall"]) / seeds),
    }


def as_row(figure: dict[str, Figure]) -> dict[str, Any]:
    """Return figures and their intervals as columns."""
    row: dict[str, Any] = {}
    for name, f in figure.items():
        row[name] = f.value
        row[f"{name}_interval"] = None if f.low is None else [f.low, f.high]
    return row


def _ratio(over: Array, under: Array) -> Array:
    shares: Array = np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 0)
    return shares


def _harmonic(a: Array, b: Array) -> Array:
    pairs = zip(a.tolist(), b.tolist(), strict=True)
    means = [harmonic_mean(None if x != x else x, None if y != y else y) for x, y in pairs]
    return np.array([np.nan if m is None else m for m in means])


def _figure(values: Array) -> Figure:
    if np.isnan(values[0]):
        return Figure(None, None, None)
    known = values[1:][~np.isnan(values[1:])]
    if not len(known):
        return Figure(_round(values[0]), None, None)
    low, high = np.percentile(known, [2.5, 97.5])
    return Figure(_round(values[0]), _round(low), _round(high))


def _round(value: float) -> float:
    return round(float(value), 4)
