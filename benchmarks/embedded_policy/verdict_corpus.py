"""The policy's second task: checking a solution. Each line is worked out again and compared, up to the first wrong one.

Errors are planted: a value off by a little, or a number of the equation replaced, with everything after it worked
out from the wrong value, sometimes repaired. One family is left out, so that a judge can be measured on problems
whose checking it was never shown.
"""

import re
from random import Random
from typing import NamedTuple, cast

from benchmarks.embedded_policy.slips import Slipping, solution
from stepforge.generators.draft import Draft, Transcript, V
from stepforge.grading.exact import Exact, ExactError, Polynomial, evaluate
from stepforge.labelers.verdict_text import delimiter, numbered, verdict_line

WORDINGS = ("Check each step.", "Which step is wrong?", "Is every step right?")
CHECK = "Check:"
PROMPT = "{question}\n{wording}\n{steps}" + CHECK + "\n"
HELD_OUT = "sequence"
"""The family whose solutions are never checked in training."""
CLEAN_SHARE = 0.4
OPERAND_SHARE = 0.4
REPAIR_SHARE = 0.2
_NUMBER = re.compile(r"\d+")


class Check(NamedTuple):
    prompt: str
    critique: str


class _Erring(Slipping):
    """Says the honest steps but for step ``at``, one of whose numbers is replaced by another."""

    def __call__(self, name: str, expression: str, value: V) -> V:
        wrong = other_operand(self.rng, expression, value) if len(self.quantities) == self.at else None
        if wrong is None:
            return super().__call__(name, expression, value)
        return Transcript.__call__(self, name, wrong[0], cast(V, wrong[1]))


def other_operand(rng: Random, expression: str, value: Exact) -> tuple[str, Exact] | None:
    """Return an expression with one of its numbers changed, and what it is then worth; None if that cannot be."""
    if isinstance(value, Polynomial):
        return None
    numbers = list(_NUMBER.finditer(expression))
    if not numbers:
        return None
    place = rng.choice(numbers)
    other = max(1, int(place[0]) + rng.choice((-3, -2, -1, 1, 2, 3, 5, 10)))
    changed = expression[: place.start()] + str(other) + expression[place.end() :]
    try:
        wrong = type(value)(str(evaluate(changed)))
        return None if wrong == value else (changed, wrong)
    except (ExactError, ValueError):
        return None


def check(draft: Draft, rng: Random) -> Check:
    """Return one training example of the second task."""
    true = lines_of(draft)
    shown = _shown(draft, rng, true)
    error = next((i for i, line in enumerate(shown) if i >= len(true) or line != true[i]), None)
    return Check(
        prompt=PROMPT.format(question=draft.plain_question, wording=rng.choice(WORDINGS), steps=numbered(shown)),
        critique=critique(shown, true, error),
    )


def lines_of(draft: Draft, say: Transcript | None = None) -> list[str]:
    quantities, answer = draft.solved(say)
    return [*(q.statement for q in quantities), f"Answer: {answer}"]


def critique(shown: list[str], true: list[str], error: int | None) -> str:
    """Return each line as it should be, the value that stands there, and ``yes`` or ``no``; then the verdict.

    The two values end up side by side, where comparing them should be easiest. Judging a line from afar, and repeating
    it and then judging it, were tried before; none of the three was learned well (the model card has the figures).
    """
    last = len(shown) - 1 if error is None else error
    lines = [
        f"{delimiter(i + 1)}\n{true[i]}\n= {stated_value(shown[i])}\n{'no' if i == error else 'yes'}\n"
        for i in range(last + 1)
    ]
    return "".join(lines) + verdict_line(error)


def stated_value(line: str) -> str:
    """Return the value that a line gives its quantity."""
    return re.split(r"[=:]", line)[-1].strip()


def _shown(draft: Draft, rng: Random, true: list[str]) -> list[str]:
    kind = rng.random()
    if kind < CLEAN_SHARE:
        return true
    if kind < CLEAN_SHARE + OPERAND_SHARE * (1 - CLEAN_SHARE):
        try:
            return lines_of(draft, _Erring(rng, rng.randrange(len(true) - 1)))
        except (ArithmeticError, ValueError, TypeError):
            return true  # the wrong value cannot be worked on
    pieces = solution(draft, rng, slip_share=1.0, repair_share=REPAIR_SHARE)
    return "".join(piece.text for piece in pieces).split("\n")
