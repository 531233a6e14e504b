"""Figures as text, and tables of them."""

from collections.abc import Iterable, Mapping, Sequence

from stepforge.schemas.interval import Share

MOST_REASONS = 6
"""Reasons listed with their counts; the others are counted together."""


def shown(value: object) -> str:
    """Return a figure with suitable precision, a share with its interval, counts by reason; a dash for None."""
    match value:
        case None | Share():
            return with_interval(value)
        case float():
            return _number(value)
        case int():
            return f"{value:,}"
        case Mapping():
            return reasons(value) or "0"
    return str(value)


def _number(value: float) -> str:
    size = abs(value)
    if 0 < size < 0.001:  # seconds of an engine for a step
        return f"{value:.2g}"
    return f"{value:.3f}" if size <= 1 else f"{value:.1f}" if size < 100 else f"{value:,.0f}"


def with_interval(share: Share | None, form: str = ".3f") -> str:
    return "-" if share is None else f"{share.share:{form}} ({share.low:{form}} to {share.high:{form}})"


def reasons(counts: Mapping[str, int], most: int = MOST_REASONS) -> str:
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    named = [f"{count:,} {reason}" for reason, count in ranked[:most]]
    rest = sum(count for _, count in ranked[most:])
    return "; ".join([*named, *([f"{rest:,} for other reasons"] if rest else [])])


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return aligned columns under a head; empty if there are no rows."""
    lines = [tuple(head), *(tuple(map(shown, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    first, *others = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    return "\n".join([first, "-" * len(first), *others]) if others else ""
