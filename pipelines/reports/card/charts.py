"""Bars as SVG: plain shapes and escaped text, no script, no style sheet, nothing loaded from elsewhere."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from stepforge.pipelines.reports.card.safe_text import shortened
from stepforge.pipelines.terminal.output import visible

WIDTH, LEFT, RIGHT, TOP, ROW = 720, 210, 90, 48, 24
BAR, WHISKER, TEXT = "#4269d0", "#222222", "#222222"


class Bar(NamedTuple):
    """One bar, with an interval where there is one."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""
    """Stands at the right end."""


def bars(title: str, data: Sequence[Bar]) -> str:
    """Return a chart of horizontal bars that begin at 0."""
    most = max([bar.high if bar.high is not None else bar.value for bar in data] + [1e-9])
    height = TOP + ROW * len(data) + 16
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="26" font-size="15" fill="{TEXT}">{_text(title, 90)}</text>',
    ]
    for i, bar in enumerate(data):
        lines += _bar(bar, TOP + ROW * i, (WIDTH - LEFT - RIGHT) / most)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _bar(bar: Bar, y: int, scale: float) -> list[str]:
    middle = y + ROW / 2 - 2
    lines = [
        f'<text x="{LEFT - 8}" y="{middle + 4:.0f}" text-anchor="end" fill="{TEXT}">{_text(bar.name, 30)}</text>',
        f'<rect x="{LEFT}" y="{y + 3}" width="{bar.value * scale:.1f}" height="{ROW - 10}" fill="{BAR}"/>',
        f'<text x="{WIDTH - RIGHT + 8}" y="{middle + 4:.0f}" fill="{TEXT}">{_text(bar.note, 14)}</text>',
    ]
    if bar.low is not None and bar.high is not None:
        lines.append(
            f'<line x1="{LEFT + bar.low * scale:.1f}" x2="{LEFT + bar.high * scale:.1f}" y1="{middle:.1f}" '
            f'y2="{middle:.1f}" stroke="{WHISKER}" stroke-width="2"/>'
        )
    return lines


def _text(text: str, most: int) -> str:
    line = " ".join(visible(text).split())
    return escape(line if len(line) <= most else shortened(line, most).split(" … ")[0] + "…")
