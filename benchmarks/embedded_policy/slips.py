"""Solutions with a slip, some repaired: what the embedded policy learns recovery from.

"Retry data" in the sense of arXiv 2408.16293 (section 3): a wrong step is followed by its correction. The wrong
value itself carries no training loss, so the policy is never taught to err: its errors are its own.
"""

from fractions import Fraction
from random import Random
from typing import NamedTuple, cast

from stepforge.generators.draft import Draft, Transcript, V
from stepforge.grading.exact import Exact, ExactError, Polynomial, evaluate
from stepforge.grading.statement import REPAIR_MARK
from stepforge.pipelines.engines.scripted_engine import wrong_number
from stepforge.schemas.problem import Quantity


class Piece(NamedTuple):
    """A stretch of solution text; ``learn`` is False for a wrong value."""

    text: str
    learn: bool = True


class Slipping(Transcript):
    """Says the honest steps but for step ``at``, whose value is wrong, and everything that follows from it."""

    def __init__(self, rng: Random, at: int) -> None:
        super().__init__()
        self.rng = rng
        self.at = at

    def __call__(self, name: str, expression: str, value: V) -> V:
        if len(self.quantities) == self.at:
            value = cast(V, wrong_value(self.rng, value))
        return super().__call__(name, expression, value)


def wrong_value(rng: Random, value: Exact) -> Exact:
    """Return a plausible wrong value of the same type: off by a little, or a digit or coefficient changed."""
    if isinstance(value, int):
        return wrong_number(rng, value)
    if isinstance(value, Fraction):
        return value + Fraction(rng.choice((-2, -1, 1, 2)), value.denominator)
    place = rng.randrange(max(len(value.coefficients), 1))
    return value + Polynomial([0] * place + [rng.choice((-2, -1, 1, 2))])


def slipped(draft: Draft, rng: Random, at: int) -> tuple[dict[str, Quantity], Exact]:
    """Return every step by name, and the answer, of a solver who slips at step ``at`` and goes on from there."""
    quantities, answer = draft.solved(Slipping(rng, at))
    return {quantity.name: quantity for quantity in quantities}, answer


def solution(draft: Draft, rng: Random, *, slip_share: float, repair_share: float) -> list[Piece]:
    """Return a training solution: honest, or with one slip that is repaired at once, a step later, or never."""
    quantities, answer = draft.solved()
    lines = [f"{q.statement}\n" for q in quantities]
    if rng.random() >= slip_share:
        return [Piece("".join(lines) + f"Answer: {answer}")]
    at = rng.randrange(len(lines))
    by_name, wrong_answer = slipped(draft, rng, at)
    wrong = list(by_name.values())
    pieces = [Piece("".join(lines[:at])), *_slip(wrong[at])]
    if rng.random() >= repair_share:
        if not all(map(consistent, wrong[at + 1 :])):
            return solution(draft, rng, slip_share=slip_share, repair_share=repair_share)
        after = "".join(f"{q.statement}\n" for q in wrong[at + 1 :])
        return [*pieces, Piece(after + f"Answer: {wrong_answer}")]
    if rng.random() < 0.25 and at + 1 < len(wrong) and consistent(wrong[at + 1]):
        pieces.append(Piece(f"{wrong[at + 1].statement}\n"))
    rest = REPAIR_MARK + "".join(lines[at:]) + f"Answer: {answer}"
    return [*pieces, Piece(rest)]


def _slip(quantity: Quantity) -> list[Piece]:
    # The space belongs to the value: a tokenizer makes " 25" one thing, and a space that is learned before a value
    # that is not would teach the policy to announce its slips.
    value = f" {quantity.value}"
    return [Piece(quantity.statement.removesuffix(value)), Piece(value, learn=False), Piece("\n")]


def consistent(quantity: Quantity) -> bool:
    """Return False where integer work on a wrong value no longer holds exactly (half of an odd number)."""
    if not quantity.expression:
        return True
    try:
        return evaluate(quantity.expression) == evaluate(quantity.value)
    except ExactError:
        return False
