"""A picture of one labeled solution as an SVG: the steps, the chance of a right answer after each, the first error.

    python -m benchmarks.solution_picture RUN PROBLEM_ID SOLUTION_ID OUT.svg

Plain text and shapes, no script and no font of its own, readable on light and dark pages.
"""

import sys
import textwrap
from collections.abc import Iterator
from html import escape
from pathlib import Path

import stepforge
from stepforge.labelers.oracle import oracle_verdict

WIDTH, LINE, LEFT, BAR_LEFT, BAR = 860, 30, 20, 520, 220
MONO = 'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="15"'
SANS = 'font-family="system-ui, sans-serif" font-size="14"'
RIGHT, WRONG, PAPER, INK, QUIET = "#2e7d32", "#c62828", "#ffffff", "#1f2328", "#59636e"


def picture(problem: stepforge.Problem, solution: stepforge.LabeledSolution) -> str:
    question = textwrap.wrap(problem.question, 104)
    top = 34 + 20 * len(question)
    height = top + 44 + LINE * len(solution.rollout.steps) + 34
    body = [
        *(_text(LEFT, 30 + 20 * i, line, SANS, INK) for i, line in enumerate(question)),
        _text(LEFT, top + 22, "step", SANS, QUIET),
        _text(BAR_LEFT, top + 22, "chance of a right answer, 90 % interval", SANS, QUIET),
        *_steps(problem, solution, top + 44),
        _text(LEFT, height - 14, _caption(problem, solution), SANS, QUIET),
    ]
    frame = f'<rect width="{WIDTH}" height="{height}" rx="8" fill="{PAPER}" stroke="#d1d9e0"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    title = f"<title>A labeled solution of: {escape(problem.question)}</title>"
    return "\n".join([head, title, frame, *body, "</svg>", ""])


def _steps(problem: stepforge.Problem, solution: stepforge.LabeledSolution, top: int) -> Iterator[str]:
    truth = oracle_verdict(problem, solution.rollout).classes or ("unknown",) * len(solution.rollout.steps)
    error = solution.verdict.first_error
    for i, step in enumerate(solution.rollout.steps):
        y = top + LINE * i
        if i == error:
            yield f'<rect x="8" y="{y - 4}" width="{WIDTH - 16}" height="{LINE - 2}" rx="4" fill="#ffebe9"/>'
        color = INK if error is None or i < error else WRONG if i == error else QUIET
        yield _text(LEFT, y + 15, step.text.strip(), MONO, color)
        yield from _value(solution.labels[i], y)
        if truth[i] in ("wrong", "repaired") and i == error:
            yield _text(BAR_LEFT - 110, y + 15, "first error", SANS, WRONG)


def _value(label: stepforge.StepLabel | None, y: int) -> Iterator[str]:
    belief = label.belief if label is not None else None
    yield f'<rect x="{BAR_LEFT}" y="{y + 4}" width="{BAR}" height="12" rx="3" fill="#eaeef2"/>'
    if belief is None:
        return
    color = RIGHT if belief.value >= 0.5 else WRONG
    yield f'<rect x="{BAR_LEFT}" y="{y + 4}" width="{BAR * belief.value:.1f}" height="12" rx="3" fill="{color}"/>'
    low, high = (BAR_LEFT + BAR * end for end in (belief.low, belief.high))
    yield f'<path d="M{low:.1f} {y + 10}H{high:.1f}" stroke="{INK}" stroke-width="2"/>'
    yield _text(BAR_LEFT + BAR + 12, y + 15, f"{belief.value:.2f}", MONO, INK)


def _caption(problem: stepforge.Problem, solution: stepforge.LabeledSolution) -> str:
    true = oracle_verdict(problem, solution.rollout).first_error
    found = solution.verdict.first_error
    return f"{solution.verdict.labeler}: first error at step {found}; the truth: step {true} (counted from 0)"


def _text(x: int, y: int, text: str, font: str, color: str) -> str:
    return f'<text x="{x}" y="{y}" {font} fill="{color}" xml:space="preserve">{escape(text)}</text>'


def main(folder: str, problem_id: str, solution_id: str, out: str) -> None:
    row = next(row for row in stepforge.Run(folder).problems(evidence=False) if row.problem.id == problem_id)
    solution = next(s for s in row.solutions if s.rollout.id == solution_id)
    Path(out).write_text(picture(row.problem, solution), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
