"""Values as the second truth, and whether a labeler is as sure as it is right.

Estimates of V are compared with fresh completions that no estimate has seen. Per prefix, ``n`` recorded completions
make the estimates and the last ``truth`` ones make the reference. The squared error is corrected for the reference's
own noise (literature: MSE minus V(1-V)/(K-1)), and the expected calibration error takes bins of equal mass.
"""

from collections.abc import Sequence
from math import comb
from random import Random
from statistics import fmean
from typing import NamedTuple

import numpy as np

from stepforge.labelers import ChangePoint
from stepforge.labelers.change_point.rates import Array
from stepforge.labelers.change_point.values import foretold, value_and_interval, weights_of
from stepforge.labelers.evidence.replay import completions_by_prefix, stored_evidence
from stepforge.labelers.evidence.store import solution_trajectory
from stepforge.pipelines.bench.measure import resamples, rounded
from stepforge.pipelines.reports.label_accuracy import Judged
from stepforge.schemas.interval import wilson
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.rollout import Rollout
from stepforge.schemas.seeds import rng_of

BINS = 10
RESAMPLES = 1000
Z90 = 1.6448536269514722
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9)


class ValueEstimate(NamedTuple):
    """One prefix, estimated three ways from the same completions."""

    raw: float
    """c/k."""
    smoothed: float
    """(c + 1) / (k + 2)."""
    believed: float
    """Posterior mean under the change-point model."""
    believed_interval: tuple[float, float]
    raw_interval: tuple[float, float]
    """90 % Wilson."""
    truth: float
    trials: int
    """Completions that give the truth."""
    place: float
    """Where the truth's successes fall in the predicted distribution, 0 to 1; uniform if it is right."""


def estimates(row: LabeledProblem, count: int, truth: int, part: ChangePoint) -> list[ValueEstimate]:
    """Return the estimates of every prefix of a problem from its first ``count`` completions each."""
    recorded = completions_by_prefix(row)
    known = {prefix: rollouts[:count] for prefix, rollouts in recorded.items() if prefix}
    kept = {rollout.id for rollouts in known.values() for rollout in rollouts}
    evidence = stored_evidence(row.model_copy(update={"evidence": tuple(r for r in row.evidence if r.id in kept)}))
    found, seen_prefixes = [], set()
    for solution in row.solutions:
        path = solution_trajectory(solution.rollout)
        if path.outcome == "undetermined" or len(path.steps) < 2:
            continue
        belief = part.believe(path, evidence)
        for i in range(1, len(path.steps)):
            prefix = path.prefix(i)
            own, fresh = _share(known.get(prefix, [])), _share(recorded.get(prefix, [])[-truth:])
            if own is None or fresh is None or prefix in seen_prefixes or len(recorded[prefix]) < count + truth:
                continue
            seen_prefixes.add(prefix)
            (right, trials), (fresh_right, fresh_trials) = own, fresh
            mean, low, high = value_and_interval(belief, i, part.rates.ends)
            found.append(
                ValueEstimate(
                    raw=right / trials,
                    smoothed=(right + 1) / (trials + 2),
                    believed=mean,
                    believed_interval=(low, high),
                    raw_interval=wilson(right, trials, Z90),
                    truth=fresh_right / fresh_trials,
                    trials=fresh_trials,
                    place=_place(
                        weights_of(belief, i),
                        fresh_right,
                        fresh_trials,
                        part.rates.ends,
                        rng_of(path.rollout, i, count),
                    ),
                )
            )
    return found


def value_figures(found: Sequence[ValueEstimate]) -> dict[str, float]:
    noise = fmean([e.truth * (1 - e.truth) / (e.trials - 1) for e in found])
    floor = fmean([e.truth * (1 - e.truth) * e.trials / (e.trials - 1) for e in found])
    result: dict[str, float] = {"prefixes": len(found)}
    for name in ("raw", "smoothed", "believed"):
        guesses = [getattr(e, name) for e in found]
        error = fmean([(g - e.truth) ** 2 for g, e in zip(guesses, found, strict=True)]) - noise
        result[f"{name}_squared_error"] = round(error, 5)
        result[f"{name}_brier"] = round(error + floor, 5)
        result[f"{name}_ece"] = round(_calibration_error(guesses, [e.truth for e in found]), 5)
    for name in ("raw", "believed"):
        ends = [getattr(e, f"{name}_interval") for e in found]
        inside = [low <= e.truth <= high for (low, high), e in zip(ends, found, strict=True)]
        result[f"{name}_coverage_90"] = round(fmean([float(x) for x in inside]), 4)
        result[f"{name}_width_90"] = round(fmean([high - low for low, high in ends]), 4)
    result["foretold_90"] = round(fmean([float(0.05 <= e.place <= 0.95) for e in found]), 4)
    return result


def _place(weights: Array, successes: int, trials: int, ends: float, rng: Random) -> float:
    """Return the randomized probability integral transform of a count under a law of V."""
    counts = [comb(trials, c) * foretold(weights, c, trials - c, ends) for c in range(successes + 1)]
    return sum(counts[:-1]) + rng.random() * counts[-1]


def _calibration_error(guesses: Sequence[float], truths: Sequence[float]) -> float:
    pairs = sorted(zip(guesses, truths, strict=True))
    size = max(1, -(-len(pairs) // BINS))
    bins = [pairs[i : i + size] for i in range(0, len(pairs), size)]
    gaps = [abs(fmean([g for g, _ in b]) - fmean([t for _, t in b])) * len(b) for b in bins]
    return sum(gaps) / len(pairs)


def _share(rollouts: Sequence[Rollout]) -> tuple[int, int] | None:
    outcomes = [r.outcome for r in rollouts if r.outcome != "undetermined"]
    return (outcomes.count("correct"), len(outcomes)) if outcomes else None


def coverage_curve(judged: Sequence[Sequence[Judged]]) -> dict[str, object]:
    """Return the accuracy on the surest tenth, fifth, ... of the wrong solutions, and the calibration; ``judged`` by
    problem.

    ``said`` is the mean posterior of the named step in that part, equal to ``accuracy`` if calibrated; ``gap`` the 95 %
    interval of what ``accuracy`` is above it, from resampled problems.
    """
    cases = []
    for problem, verdicts in enumerate(judged):
        for j in verdicts:
            posterior = j.verdict.posterior
            if posterior is not None and j.erroneous and not j.answer_correct:
                best = max(range(len(posterior)), key=posterior.__getitem__)
                cases.append(_Case(posterior[best], best == j.truth.first_error, problem))
    cases.sort(key=lambda case: -case.said)
    bands = [[case for case in cases if min(4, int(case.said * 5)) == fifth] for fifth in range(5)]
    return {
        "solutions": len(cases),
        "curve": [
            {"coverage": share, **_said(part), "least_sure": round(part[-1].said, 4)}
            for share in SHARES
            if (part := cases[: max(1, round(share * len(cases)))])
        ],
        "bands": [{"solutions": len(band), **_said(band), "gap": _gap(band)} for band in bands if band],
        "right_answers": _flags([j for verdicts in judged for j in verdicts]),
    }


class _Case(NamedTuple):
    said: float
    right: bool
    problem: int


def _said(cases: Sequence[_Case]) -> dict[str, float]:
    return {
        "said": round(fmean(case.said for case in cases), 4),
        "accuracy": round(fmean(case.right for case in cases), 4),
    }


def _gap(cases: Sequence[_Case]) -> list[float]:
    _, problems = np.unique([case.problem for case in cases], return_inverse=True)
    gaps, counts = np.bincount(problems, [case.right - case.said for case in cases]), np.bincount(problems)
    drawn = resamples([True] * len(counts), RESAMPLES, 1)
    return [rounded(end) for end in np.percentile(drawn @ gaps / (drawn @ counts), [2.5, 97.5])]


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
