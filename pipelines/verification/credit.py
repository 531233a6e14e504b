"""Step credit: how much each step changes a reward model's value, for training loops that reward steps."""

from collections.abc import Sequence

from stepforge.schemas.protocols import Scorer
from stepforge.schemas.record import Record


class StepCredit(Record):
    """The credit of one solution's steps."""

    steps: tuple[float, ...] | None
    """Value after each step minus the value before it, starting at 1; None if it could not be scored."""
    values: tuple[float, ...] = ()
    """Value after each step: the lowest score so far, so nothing after an error earns credit."""
    reason: str | None = None


async def step_credit(scorer: Scorer, question: str, solutions: Sequence[Sequence[str]]) -> list[StepCredit]:
    """Return credit from a process reward model: a solution starts at 1, a right step earns 0, a wrong one loses."""
    return [_credit(one.scores, one.error) for one in await scorer.score(question, solutions)]


def _credit(scores: Sequence[float], error: str | None) -> StepCredit:
    if error is not None:
        return StepCredit(steps=None, reason=error)
    values, least = [], 1.0
    for score in scores:
        least = min(least, score)
        values.append(least)
    before = [1.0, *values[:-1]]
    credit = tuple(round(after - ahead, 6) for after, ahead in zip(values, before, strict=True))
    return StepCredit(steps=credit, values=tuple(values))
