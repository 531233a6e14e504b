"""A labeled solution as text, for the card."""

from stepforge.pipelines.exports.marked import measured
from stepforge.pipelines.reports.card.contents import Example
from stepforge.pipelines.reports.card.safe_text import shortened
from stepforge.schemas.labeled import LabeledSolution

STEP_LENGTH = 300
STEPS = 30


def example_text(example: Example) -> str:
    return f"{example.problem.question}\n\n{_steps(example.solution)}\n\n{_verdict(example)}"


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
