"""Grouping answers that are equal, by the grader's comparison: ``1/2`` and ``\\frac{1}{2}`` are one vote."""

from collections import Counter
from collections.abc import Sequence

from stepforge.grading.verdict import decide
from stepforge.schemas.problem import AnswerKind


def equal_answers(answers: Sequence[str], kind: AnswerKind) -> dict[str, str]:
    """Return for each answer the most frequent spelling that is certainly equal to it."""
    leaders: list[str] = []
    led: dict[str, str] = {}
    for answer, _ in Counter(answers).most_common():
        equal = next((leader for leader in leaders if decide(leader, answer, kind) == "correct"), None)
        if equal is None:
            leaders.append(answer)
        led[answer] = equal or answer
    return led
