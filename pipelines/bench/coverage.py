"""Is a labeler as sure as it is right? Its posterior on wrong answers in bands, and on right ones by threshold."""

from collections.abc import Sequence

from stepforge.pipelines.reports.label_accuracy import Judged

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9)


def coverage_curve(judged: Sequence[Judged]) -> dict[str, object]:
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
    bands = [[case for case in cases if low <= case[0] < low + 0.2] for low in (0.0, 0.2, 0.4, 0.6, 0.8)]
    bands[-1] += [case for case in cases if case[0] >= 1.0]
    return {
        "solutions": len(cases),
        "curve": [
            {"coverage": share, **_said(part), "least_sure": round(part[-1][0], 4)}
            for share in SHARES
            if (part := cases[: max(1, round(share * len(cases)))])
        ],
        "bands": [{"solutions": len(band), **_said(band)} for band in bands if band],
        "right_answers": _flags(judged),
    }


def _said(cases: Sequence[tuple[float, bool]]) -> dict[str, float]:
    return {
        "said": round(sum(p for p, _ in cases) / len(cases), 4),
        "accuracy": round(sum(right for _, right in cases) / len(cases), 4),
    }


def _flags(judged: Sequence[Judged]) -> list[dict[str, float]]:
    """Return, for each threshold of the probability that no step of a right answer is wrong, what is flagged below."""
    cases = [(p[-1], j.erroneous) for j in judged if j.answer_correct and (p := j.verdict.posterior) is not None]
    wrong = sum(erroneous for _, erroneous in cases)
    found = []
    for threshold in THRESHOLDS:
        flagged = [erroneous for p, erroneous in cases if p < threshold]
        if wrong and flagged:
            precision, recall = sum(flagged) / len(flagged), sum(flagged) / wrong
            found.append({"threshold": threshold, "precision": round(precision, 4), "recall": round(recall, 4)})
    return found
