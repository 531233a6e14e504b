"""PRMBench (Song et al., arXiv 2501.03124): solutions with every step labeled, and its figure, PRMScore.

PRMScore is the mean of two F1 over the steps of a category: that of calling right steps right, and that of calling
wrong steps wrong. ``multi_solutions`` holds no wrong step and takes the first alone. The total pools the steps of all
categories (the authors' evaluator: github.com/ssmisya/PRMBench, ``mr_eval/tasks/prmtest_classified``).
"""

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from stepforge.schemas.record import Record

if TYPE_CHECKING:
    from stepforge.pipelines.scoring.cases import Case

PRM_BENCH = "prmbench"
HUB_NAME = "hitsmy/PRMBench_Preview"
RIGHT_ABOVE = 0.5
"""The score above which the authors' evaluator calls a step right."""
ASPECTS = {
    "simplicity": ("redundency", "circular"),
    "soundness": ("counterfactual", "step_contradiction", "domain_inconsistency", "confidence"),
    "sensitivity": ("missing_condition", "deception", "multi_solutions"),
}
"""The categories of each, by the data's own names."""
WITHOUT_WRONG_STEPS = "multi_solutions"
NUMBER = re.compile(r"(?:step\s*)?\d+\.\s+", re.IGNORECASE)


class PrmScore(Record):
    """Figures of a category, an aspect (the mean of its categories) or of all, in percent as papers print them."""

    name: str
    steps: int
    wrong_steps: int
    right_f1: float
    wrong_f1: float
    score: float


class _Counts(NamedTuple):
    right_kept: int
    right_flagged: int
    wrong_kept: int
    wrong_flagged: int


def is_prm_bench(row: Mapping[str, object]) -> bool:
    return "modified_process" in row and "error_steps" in row


def case_columns(row: Mapping[str, object]) -> dict[str, object]:
    steps, errors = _listed(row["modified_process"]), _listed(row["error_steps"])
    wrong = sorted({e - 1 for e in errors if isinstance(e, int) and 0 < e <= len(steps)})
    category, identity = str(row.get("classification")), str(row.get("idx"))
    return {
        "id": identity if identity.startswith(category) else f"{category}_{identity}",
        "subset": category,
        "problem": row.get("modified_question"),
        "steps": [NUMBER.sub("", str(step).strip(), count=1) for step in steps],
        "label": wrong[0] if wrong else -1,
        "wrong": wrong,
    }


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def prm_scores(cases: Sequence["Case"], threshold: float | None = None) -> list[PrmScore]:
    """Return the figures by category, then by aspect, then overall; cases without scores are skipped."""
    right_above = RIGHT_ABOVE if threshold is None else threshold
    by_category: dict[str, list[_Counts]] = {}
    for case in cases:
        if case.wrong is not None and case.scores:
            by_category.setdefault(case.subset, []).append(_counts(case, right_above))
    found = {name: _figures(name, counts) for name, counts in by_category.items()}
    if not found:
        return []
    ordered = [found[name] for names in ASPECTS.values() for name in names if name in found]
    ordered += [figures for figures in found.values() if figures not in ordered]
    whole = {aspect: names for aspect, names in ASPECTS.items() if found.keys() >= set(names)}
    ordered += [_mean(aspect, [found[name] for name in names]) for aspect, names in whole.items()]
    return [*ordered, _figures("all", [*chain(*by_category.values())])]


def _counts(case: "Case", right_above: float) -> _Counts:
    flagged = {i for i, score in enumerate(case.scores) if score <= right_above}
    wrong = set(case.wrong or ())
    right = set(range(len(case.scores))) - wrong
    return _Counts(len(right - flagged), len(right & flagged), len(wrong - flagged), len(wrong & flagged))


def _figures(name: str, counts: Sequence[_Counts]) -> PrmScore:
    whole = _Counts(*map(sum, zip(*counts, strict=True)))
    missed = whole.right_flagged + whole.wrong_kept
    right, wrong = _f1(whole.right_kept, missed), _f1(whole.wrong_flagged, missed)
    return PrmScore(
        name=name,
        steps=sum(whole),
        wrong_steps=whole.wrong_kept + whole.wrong_flagged,
        right_f1=right,
        wrong_f1=wrong,
        score=right if name == WITHOUT_WRONG_STEPS else (right + wrong) / 2,
    )


def _f1(hits: int, missed: int) -> float:
    return 200 * hits / (2 * hits + missed) if hits else 0.0


def _mean(name: str, parts: Sequence[PrmScore]) -> PrmScore:
    means = {f: sum(getattr(p, f) for p in parts) / len(parts) for f in ("right_f1", "wrong_f1", "score")}
    steps, wrong = sum(p.steps for p in parts), sum(p.wrong_steps for p in parts)
    return PrmScore(name=name, steps=steps, wrong_steps=wrong, **means)
