"""The benchmark's figures as Markdown tables, for the terminal and the documentation."""

from collections.abc import Sequence

from benchmarks.usefulness.prm_figures import HELD_OUT
from benchmarks.usefulness.result import BestOfNRow, Interval, LabelQuality, ModelRow, PolicyRow, Result

QUALITY = {
    "first error exact": "first_error_accuracy",
    "the same, all erroneous": "first_error_accuracy_all_erroneous",
    "clean left clean": "correct_solution_accuracy",
    "abstained": "abstained_share",
}


def tables(result: Result) -> str:
    parts = [] if result.drawn is None else ["## Labels\n\n" + _labels(result.drawn.labels)]
    rows = result.reward_models
    for condition in dict.fromkeys(row.condition for row in rows if row.condition):
        found = [row for row in rows if row.condition in ("", condition)]
        parts.append(f"## Reward models: {condition}\n\n" + _models(found))
    for pool in dict.fromkeys(row.pool for row in result.best_of_n):
        parts.append(f"## Best of N: {pool}\n\n" + _best_of([row for row in result.best_of_n if row.pool == pool]))
    if result.policies:
        parts.append("## Policies\n\n" + _policies(result.policies))
    return "\n\n".join([*parts, f"seconds: {result.seconds}"])


def _labels(rows: Sequence[LabelQuality]) -> str:
    lines = [
        [r.labels, _number(r.labeling_tokens_a_problem), *(_number(r.accuracies[key]) for key in QUALITY.values())]
        for r in rows
    ]
    return _table(["labels", "tokens a problem", *QUALITY], lines)


def _models(rows: Sequence[ModelRow]) -> str:
    exams = [name for name in dict.fromkeys(row.exam for row in rows) if name != "dev"]
    lines = []
    for labels in dict.fromkeys(row.labels for row in rows):
        mine = {row.exam: row for row in rows if row.labels == labels}
        first = mine[HELD_OUT]
        spent = ["" if v is None else str(v) for v in (first.problems, first.labeling_tokens, first.sampling_tokens)]
        lines.append([labels, *spent, *(_interval(mine[name].f1) for name in exams), _number(first.step_auc[0])])
    return _table(["labels", "problems", "labeling", "sampling", *(f"F1 {n}" for n in exams), "AUC held out"], lines)


def _best_of(rows: Sequence[BestOfNRow]) -> str:
    sizes = sorted({row.n for row in rows})
    by_way: dict[str, dict[int, float]] = {}
    for row in rows:
        by_way.setdefault(row.way, {})[row.n] = row.share_right[0]
    lines = [[way, *(f"{found[n]:.3f}" if n in found else "" for n in sizes)] for way, found in by_way.items()]
    return _table(["N", *map(str, sizes)], lines)


def _policies(rows: Sequence[PolicyRow]) -> str:
    lines = [
        [r.policy, str(r.training_rows or ""), r.pool, r.decoding, _interval(r.pass_at_1), _interval(r.gain)]
        for r in rows
    ]
    return _table(["policy", "rows", "problems", "decoding", "pass@1", "gain"], lines)


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    if not lines:
        return "(none)"
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _interval(estimate: Interval) -> str:
    value, low, high = estimate
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _number(value: float | None) -> str:
    return f"{value:.3f}" if isinstance(value, float) and abs(value) < 10 else str(value)
