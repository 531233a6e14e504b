"""The bench's result for the terminal."""

from typing import Any

from stepforge.pipelines.reports.text import figure, table

COLUMNS = (
    ("first_error_accuracy", "exact"),
    ("correct_solution_accuracy", "clean"),
    ("f1_wrong_answers", "F1, wrong answers"),
    ("f1_all_erroneous", "F1, all erroneous"),
    ("abstained", "abstains"),
    ("asked", "asked"),
    ("first_error_accuracy_of_decided", "of decided"),
    ("rollouts_per_solution", "rollouts"),
    ("generated_tokens_per_solution", "generated"),
    ("uncached_tokens_per_solution", "with prompts"),
    ("total_tokens_per_solution", "with solving"),
)


def bench_text(result: dict[str, Any]) -> str:
    whole = [row for row in result["rows"] if row["left_out"] not in result["problems"]]
    slices = list(dict.fromkeys((row["wording"], row["stratum"]) for row in whole))
    blocks = [_slice([r for r in whole if (r["wording"], r["stratum"]) == key]) for key in slices]
    return "\n\n".join(block for block in (*blocks, _primary(result), _comparisons(result), _values(result)) if block)


def _slice(rows: list[dict[str, Any]]) -> str:
    first = rows[0]
    lines: list[tuple[str, ...]] = [("labeler", "at", "exact, 95 %", *(title for _, title in COLUMNS[1:]))]
    for row in rows:
        interval = row["first_error_accuracy_interval"]
        ends = f" ({interval[0]:.2f}-{interval[1]:.2f})" if interval else ""
        setting = "" if row["setting"] is None else f"{row['setting']:g}"
        cells = [figure(row["first_error_accuracy"]) + ends, *(figure(row[key]) for key, _ in COLUMNS[1:])]
        lines.append((row["labeler"], setting, *cells))
    head = (
        f"{first['wording']} wording, {first['stratum']}: {first['problems']} problems, "
        f"{first['wrong_solutions']} wrong solutions, {first['correct_solutions']} without an error; "
        "cross-validated over families"
    )
    return f"{head}\n{table(lines)}"


def _primary(result: dict[str, Any]) -> str:
    p = result["primary"]
    return (
        f"planned in advance ({p['wording']} wording): {p['labeler']} {p['setting']:g} minus {p['rival']} "
        f"{p['rival_setting']:g}: {p['difference']:+.3f} ({p['low']:+.3f} to {p['high']:+.3f}) "
        f"at {p['token_ratio']:.2f} times its tokens"
    )


def _comparisons(result: dict[str, Any]) -> str:
    lines: list[tuple[str, ...]] = [("minus the rival", "at", "difference", "95 %", "p, Holm")]
    for row in result["comparisons"]:
        setting = "" if row["setting"] is None else f"{row['setting']:g}"
        ends = f"{row['low']:+.3f} to {row['high']:+.3f}"
        lines.append((row["labeler"], setting, f"{row['difference']:+.3f}", ends, f"{row['p_holm']:.3f}"))
    return table(lines)


def _values(result: dict[str, Any]) -> str:
    if not result["values"]:
        return ""
    keys = [key for key in result["values"][0] if key != "completions_per_prefix"]
    lines: list[tuple[str, ...]] = [("values", *(f"k={r['completions_per_prefix']}" for r in result["values"]))]
    lines += [(key.replace("_", " "), *(str(r[key]) for r in result["values"])) for key in keys]
    return table(lines)
