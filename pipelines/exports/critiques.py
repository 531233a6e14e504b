"""The critique of each step before its verdict: a judge's own words, or the step derived from the truth.

Nothing else is used. A step's counts would make a critique too ("7 of 8 end right"), but a verifier trained on that
learns to claim samples that it never drew.
"""

import re
from collections.abc import Sequence

from stepforge.grading.exact import ExactError, evaluate
from stepforge.grading.statement import ANSWER, Claim, read_claim
from stepforge.labelers.verdict_text import VERDICT
from stepforge.schemas.problem import Problem, Quantity
from stepforge.schemas.rollout import Step

_OPENING = re.compile(
    r"[ \t]*(?:<|#{1,6}[ \t]*|\*\*)?(?:[Ss]tep[ \t]+)?(\d{1,4})\b[^\n]{0,40}?(?:>|:|\.|\))[ \t]*(?:\*\*)?"
)
"""How a judge opens its text about a step: ``<3>``, ``3.``, ``Step 3:``, ``## Step 3:``."""


def judged_critiques(words: str, steps: int) -> tuple[str, ...] | None:
    """Cut a judge's words into one piece for each of the first ``steps`` steps; None unless they can be told apart."""
    pieces: list[list[str]] = []
    for line in words.splitlines():
        opening = _OPENING.match(line)
        if opening and int(opening[1]) == len(pieces) + 1:
            pieces.append([line[opening.end() :]])
        elif pieces and not line.startswith(VERDICT):
            pieces[-1].append(line)
    texts = tuple("\n".join(piece).strip() for piece in pieces)
    return texts if len(texts) == steps and all(texts) else None


def worked_critiques(problem: Problem, steps: Sequence[Step]) -> tuple[str, ...] | None:
    """Derive each step from the truth; None unless each makes exactly one claim."""
    if problem.truth is None or problem.truth.reading == "calls":  # a call and its answer are two steps of one claim
        return None
    known = {q.name: q for q in problem.truth.quantities}
    if problem.answer is not None:
        known[ANSWER] = Quantity(name=ANSWER, expression="", value=problem.answer)
    texts = []
    for step in steps:
        claims = [claim for claim in map(read_claim, step.text.splitlines()) if claim is not None]
        if len(claims) != 1:
            return None
        texts.append(_worked(claims[0], known.get(claims[0].name)))
    return tuple(texts)


def _worked(claim: Claim, true: Quantity | None) -> str:
    *sides, stated = claim.sides
    if true is None:
        return f"The problem has no quantity called {claim.name}."
    for side in sides:
        value = _value(side)
        if value is not None and value != _value(stated):
            return f"{side} comes to {value}, and the step says {stated}."
    derived = f"{true.expression} = {true.value}" if true.expression else true.value
    if _value(stated) == _value(true.value):
        return f"{claim.name} is {derived}. The step says {stated}."
    return f"{claim.name} should be {derived}. The step says {stated}."


def _value(text: str) -> str | None:
    try:
        return str(evaluate(text))
    except ExactError:
        return None
