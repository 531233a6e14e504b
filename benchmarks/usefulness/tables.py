"""The benchmark's figures as Markdown tables, for the terminal and the documentation."""

from collections.abc import Sequence
from typing import Any

from benchmarks.usefulness.prm_figures import HELD_OUT


def tables(result: dict[str, Any]) -> str:
    return "\n\n".join([*(_reward_models(result) if "drawn" in result else []), *_of_policies(result)])


def _reward_models(result: dict[str, Any]) -> list[str]:
    return [
        "## Labels\n\n" + _labels(result["drawn"]["labels"]),
        *(f"## Reward models: {name}\n\n" + _models(result, name) for name in _conditions(result)),
        "## Plain token classification\n\n" + _plain(result["plain_token_classification"]),
        *(f"## Best of N: {pool}\n\n" + _best_of(result["best_of_n"], pool) for pool in _pools(result["best_of_n"])),
        f"seconds: {result['seconds']}",
    ]


def _of_policies(result: dict[str, Any]) -> list[str]:
    if "policies" not in result:
        return []
    return ["## Policies\n\n" + _policies(result["policies"]), f"seconds: {result['policies_seconds']}"]


def _labels(rows: Sequence[dict[str, Any]]) -> str:
    columns = {
        "labels": "labels",
        "tokens a problem": "labeling_tokens_a_problem",
        "first error exact": "first_error_accuracy",
        "the same, all erroneous": "first_error_accuracy_all_erroneous",
        "clean left clean": "correct_solution_accuracy",
        "abstained": "abstained_share",
    }
    return _table(list(columns), [[_number(row[key]) for key in columns.values()] for row in rows])


def _conditions(result: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(row["condition"] for row in result["reward_models"] if row["condition"]))


def _models(result: dict[str, Any], condition: str) -> str:
    found = [row for row in result["reward_models"] if row["condition"] in ("", condition)]
    exams = [name for name in dict.fromkeys(row["exam"] for row in found) if name != "dev"]
    lines = []
    for labels in dict.fromkeys(row["labels"] for row in found):
        mine = {row["exam"]: row for row in found if row["labels"] == labels}
        first = mine[HELD_OUT]
        spent = [str(first.get(key, "")) for key in ("problems", "labeling_tokens", "sampling_tokens")]
        lines.append([labels, *spent, *(_interval(mine[name]["f1"]) for name in exams), _number(first["step_auc"][0])])
    return _table(["labels", "problems", "labeling", "sampling", *(f"F1 {n}" for n in exams), "AUC held out"], lines)


def _plain(rows: Sequence[dict[str, Any]]) -> str:
    names = list(rows[0]["f1_and_auc"]) if rows else []
    lines = [[row["labels"], *(f"{row['f1_and_auc'][n][0]:.3f}" for n in names)] for row in rows]
    return _table(["labels", *(f"F1 {name}" for name in names)], lines)


def _pools(rows: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["pool"] for row in rows))


def _best_of(rows: Sequence[dict[str, Any]], pool: str) -> str:
    mine = [row for row in rows if row["pool"] == pool]
    sizes = sorted({row["n"] for row in mine})
    by_way: dict[str, dict[int, float]] = {}
    for row in mine:
        by_way.setdefault(row["way"], {})[row["n"]] = row["share_right"][0]
    lines = [[way, *(f"{found[n]:.3f}" if n in found else "" for n in sizes)] for way, found in by_way.items()]
    return _table(["N", *map(str, sizes)], lines)


def _policies(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        [
            r["policy"],
            str(r["training_rows"] or ""),
            r["pool"],
            r["decoding"],
            _interval(r["pass_at_1"]),
            _interval(r["gain"]),
        ]
        for r in rows
    ]
    return _table(["policy", "rows", "problems", "decoding", "pass@1", "gain"], lines)


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    if not lines:
        return "(none)"
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _interval(estimate: Sequence[float]) -> str:
    value, low, high = estimate
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) and abs(value) < 10 else str(value)
