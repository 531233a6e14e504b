"""The bench's result as a page of Markdown tables: printed, and written next to the figures."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from stepforge.labelers.change_point.labeler import CLEAN

Row = dict[str, Any]
EACH = "each in turn"
"""The held-out label of rows about all families, each measured with rates learned from the others."""
AMOUNTS = (
    ("rollouts_per_solution", "rollouts"),
    ("generated_tokens_per_solution", "generated"),
    ("uncached_tokens_per_solution", "with prompts"),
    ("total_tokens_per_solution", "with solving"),
)
SHARES = (
    ("correct_solution_accuracy", "clean"),
    ("f1_wrong_answers", "F1, wrong answers"),
    ("f1_all_erroneous", "F1, all erroneous"),
    ("abstained", "abstains"),
    ("asked", "asked"),
)


def bench_page(result: dict[str, Any]) -> str:
    """Return all tables of a result, by wording, each under a line that says what it shows."""
    wordings = groupby(result["rows"], key=lambda row: str(row["wording"]))
    blocks = [block for wording, rows in wordings for block in _wording(wording, list(rows))]
    compared = {_name(row) for row in result["rows"] if row["left_out"] != EACH}
    sure = [row for row in result["coverage"] if _name(row) in compared]
    clean = any(row["correct_solutions"] for row in result["rows"])
    blocks += [_stated(result), _comparisons(result), _bands(sure) if sure else ""]
    blocks += [_flags(sure) if clean else "", _values(result)]
    return "\n\n".join(block for block in blocks if block)


def side_by_side(results: Mapping[str, dict[str, Any]]) -> str:
    """Return first errors named exactly and what that cost, of the settings that all results have."""
    lines: dict[tuple[str, str], list[str]] = {}
    for row in (row for result in results.values() for row in result["rows"] if _is_whole(row)):
        lines.setdefault(_name(row), []).extend((_exact(row), _amount(row["generated_tokens_per_solution"])))
    head = ("labeler", "at", *(column for title in results for column in (title, "tokens")))
    return _table(head, ((*name, *cells) for name, cells in lines.items() if len(cells) == 2 * len(results)))


def _is_whole(row: Row) -> bool:
    return (row["left_out"], row["stratum"]) == (EACH, "all")


def _wording(wording: str, rows: Sequence[Row]) -> Iterable[str]:
    whole = [row for row in rows if _is_whole(row)]
    first = whole[0]
    yield (
        f"**{wording.capitalize()} wording, each family left out in turn**: {first['problems']} problems, "
        f"{first['wrong_solutions']} wrong solutions, {first['correct_solutions']} without an error. Tokens are for "
        "each solution."
    )
    head = ("labeler", "at", "exact (95 %)", *(title for _, title in (*SHARES, *AMOUNTS)))
    yield _table(head, (_line(row) for row in whole))
    yield "**First errors named exactly, by base rate and by family** (95 %):"
    yield _slices([row for row in rows if not _is_whole(row)])


def _line(row: Row) -> tuple[str, ...]:
    shares = (_share(row[key]) for key, _ in SHARES)
    amounts = (_amount(row[key]) for key, _ in AMOUNTS)
    return (*_name(row), _exact(row), *shares, *amounts)


def _slices(rows: Sequence[Row]) -> str:
    """Return a column for each slice, a line for each setting that was measured in all of them."""

    def title(row: Row) -> str:
        name = row["stratum"] if row["left_out"] == EACH else f"`{row['left_out']}`"
        return f"{name} ({row['wrong_solutions']})"

    columns = list(dict.fromkeys(map(title, rows)))
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        lines.setdefault(_name(row), {})[title(row)] = _exact(row)
    whole = {name: cells for name, cells in lines.items() if len(cells) == len(columns)}
    return _table(("labeler", "at", *columns), ((*name, *cells.values()) for name, cells in whole.items()))


def _stated(result: dict[str, Any]) -> str:
    p = result["primary"]
    return (
        f"**Stated in advance** ({p['wording']} wording): {p['labeler']} at {p['setting']:g} minus {p['rival']} at "
        f"{p['rival_setting']:g}: {p['difference']:+.3f} ({p['low']:+.3f} to {p['high']:+.3f}) at "
        f"{p['token_ratio']:.2f} times its tokens."
    )


def _comparisons(result: dict[str, Any]) -> str:
    found = [
        (*_name(row), f"{row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})", f"{row['p_holm']:.3f}")
        for row in result["comparisons"]
    ]
    return _table(("minus that rival", "at", "difference (95 %)", "p, after Holm"), found)


def _bands(found: Sequence[Row]) -> str:
    """Return a line for each setting: how often it is right where it says so much."""
    bands = {_name(row): {int(band["said"] * 5): band for band in row["bands"]} for row in found}
    lines = [(*name, *(_band(of.get(fifth)) for fifth in range(1, 5))) for name, of in bands.items()]
    head = ("labeler", "at", *(f"{low / 5:.1f} to {low / 5 + 0.2:.1f}" for low in range(1, 5)))
    title = (
        "**Confidence**: how sure it was of the step that it names, of wrong answers; how often that is right; and the "
        "95 % interval of their difference. All seeds together."
    )
    return f"{title}\n\n{_table(head, lines)}"


def _band(band: Row | None) -> str:
    if band is None:
        return ""
    return f"{band['said']:.2f}, {band['accuracy']:.2f} {_ends(band['gap'], '+.2f')}, n = {band['solutions']}"


def _flags(found: Sequence[Row]) -> str:
    curves = {_name(row): {at["threshold"]: at for at in row["right_answers"]} for row in found}
    thresholds = sorted({threshold for curve in curves.values() for threshold in curve})
    if not thresholds:
        return ""
    lines = [(*name, *(_flagged(curve.get(at)) for at in thresholds)) for name, curve in curves.items() if curve]
    title = (
        "**Right answers through a wrong step**: recall and precision of flags, where the probability of no wrong step "
        f"is below a threshold; the labeler's own is {CLEAN:g}."
    )
    return f"{title}\n\n" + _table(("labeler", "at", *(f"{at:g}" for at in thresholds)), lines)


def _flagged(at: Row | None) -> str:
    return "" if at is None else f"{at['recall']:.2f}, {at['precision']:.2f}"


def _values(result: dict[str, Any]) -> str:
    rows = result["values"]
    if not rows:
        return ""
    head = ("values", *(f"k = {row['completions_per_prefix']}" for row in rows))
    keys = [key for key in rows[0] if key != "completions_per_prefix"]
    lines = ((key.replace("_", " "), *(str(row[key]) for row in rows)) for key in keys)
    return "**V** from k completions of a prefix and what is free, against the truth.\n\n" + _table(head, lines)


def _name(row: Row) -> tuple[str, str]:
    return row["labeler"], "" if row["setting"] is None else f"{row['setting']:g}"


def _exact(row: Row) -> str:
    ends = row["first_error_accuracy_interval"]
    return _share(row["first_error_accuracy"], 3) + (f" {_ends(ends, '.2f')}" if ends else "")


def _ends(ends: Sequence[float], form: str) -> str:
    return f"({ends[0]:{form}} to {ends[1]:{form}})"


def _share(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _amount(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}" if 0 < value < 10 else f"{value:,.0f}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table whose columns line up in a terminal too."""
    lines = [head, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join("| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines)
