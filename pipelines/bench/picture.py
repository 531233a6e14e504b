"""Accuracy-cost curves as an SVG: plain text, no script, readable in light and dark."""

from collections.abc import Sequence
from html import escape
from math import log10
from typing import Any, NamedTuple

WIDTH, HEIGHT = 860, 480
LEFT, RIGHT, TOP, BOTTOM = 60, 270, 46, 50
COLOURS = ("#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#17becf", "#7f7f7f", "#bcbd22", "#e377c2")
LEAST_TOKENS = 1.0


class Point(NamedTuple):
    """One setting of a labeler."""

    tokens: float
    """Total tokens per solution."""
    accuracy: float
    low: float
    high: float
    setting: float | None


def curves_of(rows: Sequence[dict[str, Any]], wording: str, labelers: Sequence[str]) -> dict[str, list[Point]]:
    """Return the points of each labeler over all families, cheapest first."""
    curves: dict[str, list[Point]] = {}
    for row in rows:
        ends = row["first_error_accuracy_interval"]
        whole = row["wording"] == wording and row["stratum"] == "all" and row["left_out"] == "each in turn"
        if whole and row["labeler"] in labelers and ends:
            tokens, accuracy = row["total_tokens_per_solution"], row["first_error_accuracy"]
            curves.setdefault(row["labeler"], []).append(Point(tokens, accuracy, ends[0], ends[1], row["setting"]))
    return {name: sorted(curves[name]) for name in labelers if name in curves}


def picture(curves: dict[str, list[Point]], title: str) -> str:
    """Return the SVG; the x axis is logarithmic, with free settings at its left end."""
    points = [p for curve in curves.values() for p in curve]
    decades = int(log10(max([p.tokens for p in points] + [10.0]))) + 1
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="24" font-size="15" fill="#222">{escape(title)}</text>',
        *_axes(decades),
    ]
    for i, (name, curve) in enumerate(curves.items()):
        lines += _curve(name, curve, COLOURS[i % len(COLOURS)], TOP + 14 + 20 * i, decades)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _x(tokens: float, decades: int) -> float:
    return LEFT + log10(max(tokens, LEAST_TOKENS)) / decades * (WIDTH - LEFT - RIGHT)


def _y(accuracy: float) -> float:
    return TOP + (1 - accuracy) * (HEIGHT - TOP - BOTTOM)


def _axes(decades: int) -> list[str]:
    right, bottom, lines = WIDTH - RIGHT, HEIGHT - BOTTOM, []
    for tenth in range(0, 11, 2):
        at = _y(tenth / 10)
        lines.append(f'<line x1="{LEFT}" y1="{at:.1f}" x2="{right}" y2="{at:.1f}" stroke="#e4e4e4"/>')
        lines.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end" fill="#444">{tenth / 10:.1f}</text>')
    for decade in range(decades + 1):
        at = _x(10.0**decade, decades)
        label = "0 or 1" if decade == 0 else str(10**decade)
        lines.append(f'<line x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{bottom}" stroke="#e4e4e4"/>')
        lines.append(f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle" fill="#444">{label}</text>')
    middle = (LEFT + right) / 2
    caption = "tokens per solution, solve stage and uncached prompts included; bars are 95 % intervals"
    lines.append(f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle" fill="#444">{caption}</text>')
    return lines


def _curve(name: str, curve: Sequence[Point], color: str, legend: float, decades: int) -> list[str]:
    path = " ".join(f"{_x(p.tokens, decades):.1f},{_y(p.accuracy):.1f}" for p in curve)
    lines = [f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>']
    for p in curve:
        at = f"{_x(p.tokens, decades):.1f}"
        setting = "" if p.setting is None else f" at {p.setting:g}"
        tip = escape(f"{name}{setting}: {p.accuracy:.3f} for {p.tokens:.0f} tokens")
        lines.append(
            f'<line x1="{at}" y1="{_y(p.low):.1f}" x2="{at}" y2="{_y(p.high):.1f}" stroke="{color}" '
            'stroke-opacity="0.35"/>'
        )
        circle = f'<circle cx="{at}" cy="{_y(p.accuracy):.1f}" r="3.5" fill="{color}">'
        lines.append(f"{circle}<title>{tip}</title></circle>")
    left = WIDTH - RIGHT + 20
    lines.append(f'<rect x="{left}" y="{legend - 9}" width="12" height="12" fill="{color}"/>')
    lines.append(f'<text x="{left + 18}" y="{legend + 2}" fill="#222">{escape(name)}</text>')
    return lines
