"""The bench's result for the terminal."""

from collections.abc import Sequence
from typing import Any

from stepforge.pipelines.reports.text import figure, table

COLUMNS = (
    ("first_error_accuracy", "exact"),
    ("correct_solution_accuracy", "clean"),
    ("processbench_f1", "F1"),
    ("first_error_within_one", "within 1"),
    ("abstained_on_wrong", "abstains"),
    ("right_answer_wrong_step_recall", "lucky: recall"),
    ("right_answer_wrong_step_precision", "precision"),
    ("rollouts_per_solution", "rollouts"),
    ("generated_tokens_per_solution", "tokens"),
    ("generated_tokens_per_correct_first_error", "tokens/correct"),
)


def bench_text(result: dict[str, Any], splits: Sequence[str]) -> str:
    """Return the tables of some splits, the values, and the coverage curve."""
    blocks = [_split(result, split) for split in splits if any(r["split"] == split for r in result["rows"])]
    blocks += [_values(result), _coverage(result)]
    seconds = result["seconds"]
    blocks.append(f"recording {seconds['recording']} s, replay {seconds['replay']} s")
    return "\n\n".join(block for block in blocks if block)


def _split(result: dict[str, Any], split: str) -> str:
    rows = [row for row in result["rows"] if row["split"] == split]
    first = rows[0]
    lines: list[tuple[str, ...]] = [("labeler", "at", "exact, 95 %", *(title for _, title in COLUMNS[1:]))]
    for row in rows:
        interval = row["first_error_accuracy_interval"]
        ends = f" ({interval[0]:.2f}-{interval[1]:.2f})" if interval else ""
        setting = "" if row["setting"] is None else f"{row['setting']:g}"
        cells = [figure(row["first_error_accuracy"]) + ends, *(figure(row[key]) for key, _ in COLUMNS[1:])]
        lines.append((row["labeler"], setting, *cells))
    head = (
        f"{split}: {first['problems']} problems, {first['wrong_solutions']} wrong solutions, "
        f"{first['correct_solutions']} without an error, "
        f"{first['right_answer_through_wrong_step']} right through a wrong step"
    )
    return f"{head}\n{table(lines)}"


def _values(result: dict[str, Any]) -> str:
    if not result["values"]:
        return ""
    keys = [k for k in result["values"][0] if k not in ("split", "completions_per_prefix")]
    lines: list[tuple[str, ...]] = [
        ("values", *(f"{r['split']} k={r['completions_per_prefix']}" for r in result["values"]))
    ]
    lines += [(key.replace("_", " "), *(str(r[key]) for r in result["values"])) for key in keys]
    return table(lines)


def _coverage(result: dict[str, Any]) -> str:
    blocks = []
    for split, found in result["coverage"].items():
        lines: list[tuple[str, ...]] = [("coverage", *(f"{p['coverage']:.0%}" for p in found["curve"]))]
        lines.append(("accuracy", *(f"{p['accuracy']:.2f}" for p in found["curve"])))
        lines.append(("posterior", *(f"{p['said']:.2f}" for p in found["curve"])))
        blocks.append(f"change_point at 16, surest first: {split}\n{table(lines)}")
    return "\n\n".join(blocks)
