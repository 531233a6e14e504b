"""Accuracy against coverage: are the cases on which a labeler is unsure the ones it gets wrong?"""

from collections.abc import Sequence
from typing import Any

from stepforge.pipelines.reports.label_accuracy import Judged

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def coverage_curve(judged: Sequence[Judged]) -> dict[str, Any]:
    """Return the accuracy on the surest tenth, fifth, ... of the wrong solutions, and the calibration.

    ``said`` is the mean posterior of the named step in that part; equal to ``accuracy`` if calibrated.
    """
    cases = []
    for j in judged:
        posterior = j.verdict.posterior
        if posterior is None or not j.erroneous or j.answer_correct:
            continue
        best = max(range(len(posterior)), key=posterior.__getitem__)
        cases.append((posterior[best], best == j.truth.first_error))
    cases.sort(key=lambda case: -case[0])
    curve = []
    for share in SHARES:
        part = cases[: max(1, round(share * len(cases)))]
        if part:
            curve.append(
                {
                    "coverage": share,
                    "accuracy": round(sum(right for _, right in part) / len(part), 4),
                    "said": round(sum(p for p, _ in part) / len(part), 4),
                    "least_sure": round(part[-1][0], 4),
                }
            )
    bands = [[case for case in cases if low <= case[0] < low + 0.2] for low in (0.0, 0.2, 0.4, 0.6, 0.8)]
    bands[-1] += [case for case in cases if case[0] >= 1.0]
    said = [
        {
            "solutions": len(band),
            "said": round(sum(p for p, _ in band) / len(band), 4),
            "accuracy": round(sum(right for _, right in band) / len(band), 4),
        }
        for band in bands
        if band
    ]
    return {"solutions": len(cases), "curve": curve, "bands": said}
