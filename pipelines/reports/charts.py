"""Charts as SVG: plain shapes and escaped text, no script, no style sheet, nothing loaded from elsewhere.

Each shape has a class, so a page may set its own colors; by default charts are dark on white. A chart for a narrow
column is narrow in units too, so its text is as large as the page's.
"""

from collections.abc import Iterable, Sequence
from html import escape
from math import floor, log10
from typing import NamedTuple

from stepforge.pipelines.terminal.output import visible
from stepforge.schemas.interval import Share

WIDTH, LEFT, RIGHT, TOP, ROW = 720, 210, 90, 48, 24
BAR, OTHER, WHISKER, TEXT, GRID = "#4269d0", "#e0793b", "#222222", "#222222", "#d5d5d5"


class Bar(NamedTuple):
    name: str
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""
    """Text at the right end."""
    other: float = 0.0
    """A second part, after the first."""


def count_bars(counts: Iterable[tuple[str, int]]) -> list[Bar]:
    return [Bar(name, count, note=f"{count:,}") for name, count in counts]


def share_bars(shares: Iterable[tuple[str, Share | None]], digits: int = 1) -> list[Bar]:
    return [Bar(name, s.share, s.low, s.high, f"{s.share:.{digits}%}") for name, s in shares if s is not None]


class Point(NamedTuple):
    x: float
    y: float
    low: float | None = None
    high: float | None = None


class Size(NamedTuple):
    width: int = WIDTH
    left: int = LEFT
    right: int = RIGHT


WIDE, NARROW = Size(), Size(400, 118, 84)


def bars(title: str, data: Sequence[Bar], size: Size = WIDE) -> str:
    most = max([bar.high if bar.high is not None else bar.value + bar.other for bar in data] + [1e-9])
    drawn = _opening(title, size.width, TOP + ROW * len(data) + 16)
    for i, bar in enumerate(data):
        drawn += _bar(bar, TOP + ROW * i, (size.width - size.left - size.right) / most, size)
    return "\n".join([*drawn, "</svg>"]) + "\n"


def _opening(title: str, width: int, height: int) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{_text(title, 90)}" font-family="sans-serif" font-size="12">',
        f'<rect class="ground" width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text class="title" x="16" y="26" font-size="15" fill="{TEXT}">{_text(title, width // 8)}</text>',
    ]


def _bar(bar: Bar, y: int, scale: float, size: Size) -> list[str]:
    middle = y + ROW / 2 - 2
    drawn = [
        _words(size.left - 8, middle + 4, _text(bar.name, size.left // 7), "end"),
        _rect("bar", size.left, y + 3, bar.value * scale, BAR),
        _words(size.width - size.right + 8, middle + 4, _text(bar.note, size.right // 6)),
    ]
    if bar.other:
        drawn.append(_rect("other", size.left + bar.value * scale, y + 3, bar.other * scale, OTHER))
    if bar.low is not None and bar.high is not None:
        drawn.append(_line("whisker", (size.left + bar.low * scale, middle), (size.left + bar.high * scale, middle)))
    return drawn


class Plane:
    """Two axes that begin at 0, for points and lines."""

    def __init__(self, title: str, axes: tuple[str, str], ends: tuple[float, float]) -> None:
        """``axes``: what they measure; ``ends``: where they end."""
        ends = self._ends = (_rounded_up(ends[0]), _rounded_up(ends[1]))
        self._left, self._right, self._top, self._bottom = 54.0, NARROW.width - 16.0, TOP + 18.0, 250.0
        self._drawn = _opening(title, NARROW.width, 300)
        for part in (0.0, 0.25, 0.5, 0.75, 1.0):
            x, y = self._at(part * ends[0], part * ends[1])
            self._drawn += [
                _line("grid", (self._left, y), (self._right, y), GRID),
                _words(self._left - 6, y + 4, _number(part * ends[1]), "end"),
                _words(x, self._bottom + 17, _number(part * ends[0]), "middle"),
            ]
        self._drawn.append(_words((self._left + self._right) / 2, 290, _text(axes[0], 55), "middle"))
        self._drawn.append(_words(16, self._top - 10, _text(axes[1], 55)))

    def _at(self, x: float, y: float) -> tuple[float, float]:
        across, up = x / self._ends[0], y / self._ends[1]
        return self._left + across * (self._right - self._left), self._bottom - up * (self._bottom - self._top)

    def diagonal(self) -> None:
        self._drawn.append(_line("diagonal", self._at(0, 0), self._at(*self._ends), "#888888"))

    def steps(self, heights: Sequence[float], width: float) -> None:
        """Draw an area of columns that touch, from 0 on."""
        corners = [self._at((i + edge) * width, height) for i, height in enumerate(heights) for edge in (0, 1)]
        inside = [(min(x, self._right), y) for x, y in [self._at(0, 0), *corners]]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*inside, (inside[-1][0], self._bottom)])
        self._drawn.append(f'<polygon class="bar" points="{path}" fill="{BAR}"/>')

    def points(self, points: Sequence[Point]) -> None:
        for p in points:
            x, y = self._at(p.x, p.y)
            if p.low is not None and p.high is not None:
                self._drawn.append(_line("whisker", self._at(p.x, p.low), self._at(p.x, p.high)))
            self._drawn.append(f'<circle class="bar" cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{BAR}"/>')

    @property
    def svg(self) -> str:
        return "\n".join([*self._drawn, "</svg>"]) + "\n"


def _rect(kind: str, x: float, y: float, width: float, fill: str) -> str:
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.0f}" width="{width:.1f}" height="{ROW - 10}" fill="{fill}"/>'


def _line(kind: str, start: tuple[float, float], end: tuple[float, float], stroke: str = WHISKER) -> str:
    (x1, y1), (x2, y2) = start, end
    width = 2 if kind == "whisker" else 1
    return (
        f'<line class="{kind}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}" stroke="{stroke}" '
        f'stroke-width="{width}"/>'
    )


def _words(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.0f}" text-anchor="{anchor}" fill="{TEXT}">{text}</text>'


def _rounded_up(end: float) -> float:
    """The next number that is easy to read in quarters."""
    decade = 10.0 ** floor(log10(end))
    return next(decade * digit for digit in (1, 2, 4, 6, 8, 10) if end <= decade * digit * (1 + 1e-9))


def _number(value: float) -> str:
    return f"{value / 1000:,.4g}k" if value >= 10_000 else f"{value:,.4g}"


def _text(text: str, most: int) -> str:
    line = " ".join(visible(text).split())
    return escape(line if len(line) <= most else f"{line[:most]}…")
