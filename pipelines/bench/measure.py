"""Figures of one labeler setting on one slice, with intervals from resampling problems; and which labeler is better:
the comparison planned in advance, and all others with Holm's correction.

The bootstrap draws problems with replacement, the same draws for every labeler, so differences are paired. A figure is
a ratio of sums over problems, so a resample needs only the sums.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import erfc, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepforge.pipelines.bench.cases import BenchProblem, Outcome
from stepforge.pipelines.bench.settings import Primary
from stepforge.pipelines.reports.counted import Per
from stepforge.pipelines.reports.label_accuracy import counted
from stepforge.schemas.interval import Z95

Array = NDArray[np.float64]
ACCURACY = "first_error_accuracy"
TOKENS = "total_tokens_per_solution"
Key = tuple[str, float | None]


SHARES = {
    "first_error_accuracy": Per("wrong_answer exact", "wrong_answer"),
    "correct_solution_accuracy": Per("right exact", "right"),
    "first_error_accuracy_all_erroneous": Per("wrong_answer exact + lucky exact", "wrong_answer + lucky"),
    "first_error_accuracy_of_decided": Per("wrong_answer exact", "wrong_answer decided"),
    "abstained": Per("wrong_answer abstained", "wrong_answer"),
    "right_answer_wrong_step_recall": Per("lucky flagged", "lucky"),
    "right_answer_wrong_step_precision": Per("lucky flagged", "flagged"),
}
AMOUNTS = {
    "asked": Per("asked", "askable"),
    "rollouts_per_solution": Per("rollouts", "all"),
    "generated_tokens_per_solution": Per("generated", "all"),
    "uncached_tokens_per_solution": Per("uncached", "all"),
    "total_tokens_per_solution": Per("total", "all"),
}
Sums = Mapping[str, Array]
"""Counts and amounts, each as one number for each problem."""


def sums(by_seed: Iterable[Sequence[Outcome]], problems: Sequence[BenchProblem]) -> Sums:
    totals: dict[str, Array] = defaultdict(lambda: np.zeros(len(problems)))
    for outcomes in by_seed:
        for at, (problem, outcome) in enumerate(zip(problems, outcomes, strict=True)):
            spent, both = outcome.cost, outcome.cost + problem.solving
            amounts = {
                "asked": outcome.asked,
                "askable": outcome.askable,
                "rollouts": spent.rollouts,
                "generated": spent.generated_tokens,
                "uncached": spent.generated_tokens + spent.prompt_tokens - spent.cached_prompt_tokens,
                "total": both.generated_tokens + both.prompt_tokens - both.cached_prompt_tokens,
            }
            for name, number in {**counted(outcome.judged), **amounts}.items():
                totals[name][at] += number
    return totals


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

    def ratios(figures: Mapping[str, Per]) -> dict[str, Array]:
        return {name: ratio(*map(drawn, rule.marks())) for name, rule in figures.items()}

    def drawn(marks: Sequence[str]) -> Array:
        found: Array = weights @ np.sum([total[mark] for mark in marks], axis=0)
        return found

    raw = ratios(SHARES)
    clean = raw["correct_solution_accuracy"]
    raw["f1_wrong_answers"] = _harmonic(raw["first_error_accuracy"], clean)
    raw["f1_all_erroneous"] = _harmonic(raw.pop("first_error_accuracy_all_erroneous"), clean)
    return raw | ratios(AMOUNTS)


def figures(total: Sums, weights: Array, *, whole: bool = True) -> dict[str, Any]:
    """Return every figure, or the first alone, and under its name with ``_interval`` its 95 % interval; None where
    nothing is measured."""
    row: dict[str, Any] = {}
    raw = raw_figures(total, weights)
    for name, values in raw.items() if whole else [(ACCURACY, raw[ACCURACY])]:
        known = values[1:][~np.isnan(values[1:])]
        row[name] = None if np.isnan(values[0]) else rounded(values[0])
        ends = np.percentile(known, [2.5, 97.5]) if len(known) and row[name] is not None else []
        row[f"{name}_interval"] = [rounded(end) for end in ends] or None
    return row


def sizes(total: Sums, weights: Array, seeds: int) -> dict[str, int]:
    own = weights[0]
    return {
        "problems": int(own.sum()),
        "wrong_solutions": round(float(own @ total["wrong_answer"]) / seeds),
        "correct_solutions": round(float(own @ total["right"]) / seeds),
    }


def rounded(value: float) -> float:
    """Return a figure rounded for output: four digits below 10, one above."""
    return round(float(value), 4 if abs(value) < 10 else 1)


def ratio(over: Array, under: Array) -> Array:
    shares: Array = np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 0)
    return shares


def _harmonic(a: Array, b: Array) -> Array:
    return np.where(a + b == 0, 0.0, ratio(2 * a * b, a + b))


def primary_comparison(totals: dict[Key, Sums], weights: Array, stated: Primary) -> dict[str, Any]:
    """Return the stated comparison; the rival is whichever of the listed ones is most accurate."""
    ours = raw_figures(totals[stated.labeler.labeler, stated.labeler.at], weights)
    rivals = {(r.labeler, r.at): raw_figures(totals[r.labeler, r.at], weights) for r in stated.rivals}
    best = max(rivals, key=lambda key: float(rivals[key][ACCURACY][0]))
    found = difference(ours[ACCURACY], rivals[best][ACCURACY])
    return {
        "labeler": stated.labeler.labeler,
        "setting": stated.labeler.at,
        "rival": best[0],
        "rival_setting": best[1],
        **found,
        "token_ratio": rounded(ours[TOKENS][0] / rivals[best][TOKENS][0]),
    }


def all_comparisons(totals: dict[Key, Sums], weights: Array, rival: Key) -> list[dict[str, Any]]:
    """Return every labeler's accuracy minus the rival's, with p-values after Holm (1979)."""
    theirs = raw_figures(totals[rival], weights)[ACCURACY]
    rows = []
    for (labeler, setting), total in totals.items():
        if (labeler, setting) != rival:
            found = difference(raw_figures(total, weights)[ACCURACY], theirs)
            rows.append({"labeler": labeler, "setting": setting, **found})
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    return rows


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for how many there are (S. Holm 1979, Scandinavian Journal of Statistics 6, p. 65)."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[index]))
        corrected[index] = rounded(highest)
    return corrected


def difference(ours: Array, theirs: Array) -> dict[str, Any]:
    """Return a difference, its 95 % interval, and the two-sided p-value of a normal law as wide as that interval."""
    apart = ours - theirs
    drawn = apart[1:][~np.isnan(apart[1:])]
    if not len(drawn):
        return {"difference": rounded(apart[0]), "low": None, "high": None, "p": 1.0}
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {
        "difference": rounded(apart[0]),
        "low": rounded(low),
        "high": rounded(high),
        "p": p_value(apart[0], low, high),
    }


def p_value(difference: float, low: float, high: float) -> float:
    """Return the probability of a difference at least this large by chance, given its 95 % interval."""
    spread = (high - low) / (2 * Z95)
    return rounded(erfc(abs(difference) / spread / sqrt(2))) if spread > 0 else float(difference == 0)
