"""Twenty labeled solutions to look at."""

from collections.abc import Sequence

from stepforge.pipelines.exports.marked import measured
from stepforge.pipelines.reports.card.contents import Example
from stepforge.pipelines.reports.card.safe_text import cell, fenced, shortened
from stepforge.schemas.labeled import LabeledSolution

STEP_LENGTH = 300
STEPS = 30


def examples_section(examples: Sequence[Example]) -> str:
    """Return the examples, each in a fence of its own."""
    shown = [_example(number, example) for number, example in enumerate(examples, 1)]
    head = (
        "## Examples\n\nDrawn by a hash of their names, half of them with a wrong step where there are enough. Each "
        "step stands behind its label and, where measured, its value."
    )
    return "\n\n".join([head, *shown]) if shown else ""


def _example(number: int, example: Example) -> str:
    problem, solution = example.problem, example.solution
    difficulty = "" if problem.difficulty is None else f", difficulty {problem.difficulty}"
    text = f"{problem.question}\n\n{_steps(solution)}\n\n{_verdict(example)}"
    return f"### {number}. {cell(problem.domain)}{difficulty}\n\n{fenced(text)}"


def _steps(solution: LabeledSolution) -> str:
    error = solution.verdict.first_error
    lines = []
    for i, step in enumerate(solution.rollout.steps[:STEPS]):
        label = "right" if error is None or i < error else "WRONG" if i == error else "-"
        known = measured(solution.labels[i])
        value = "    " if known is None else f"{known.value:.2f}"
        lines.append(f"{i + 1:>2} {label:5} {value} {shortened(step.text.strip(), STEP_LENGTH)}")
    left = len(solution.rollout.steps) - STEPS
    return "\n".join([*lines, f"({left} more steps)"] if left > 0 else lines)


def _verdict(example: Example) -> str:
    rollout, verdict, truth = example.solution.rollout, example.solution.verdict, example.truth
    said = _named(verdict.first_error)
    known = "" if truth.abstained else f"; the truth: {_named(truth.first_error)}"
    return f"final answer {rollout.outcome}; {verdict.labeler}: {said}{known}"


def _named(error: int | None) -> str:
    return "no wrong step" if error is None else f"first wrong step {error + 1}"
