"""Which labeler is better, paired by problem: the comparison planned in advance, and all others with Holm's
correction."""

from collections.abc import Sequence
from math import erfc, sqrt
from typing import Any

import numpy as np

from stepforge.pipelines.bench.measure import Array, Sums, raw_figures, rounded
from stepforge.pipelines.bench.settings import Primary
from stepforge.schemas.interval import Z95

ACCURACY = "first_error_accuracy"
TOKENS = "total_tokens_per_solution"

Key = tuple[str, float | None]


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
