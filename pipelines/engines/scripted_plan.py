"""Reads a question of the ``sequence`` or ``quantities`` family into a plan: its steps in a valid order.

Invariant: a step's inputs come before it, and ``truth`` holds the right value of each.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple
from zlib import crc32

from stepforge.generators.draft import plus
from stepforge.generators.families.quantities import Relation, worked_out

AFFINE = re.compile(
    r"A sequence starts with (\d+)\. "
    r"Each next term is (\d+) times the term before (plus|minus) (\d+)\. Find term (\d+)\."
)
SUMS = re.compile(
    r"A sequence starts with (\d+) and (\d+)\. Each next term is the sum of the two terms before\. Find term (\d+)\."
)
ASKED = re.compile(r"How many (\w+) does (\w+) have\?")
SENTENCE = re.compile(
    r"(?P<name>\w+) has (?:"
    r"(?P<given>\d+) \w+"
    r"|(?P<times>\d+) times as many \w+ as (?P<base>\w+)"
    r"|half as many \w+ as (?P<whole>\w+)"
    r"|as many \w+ as (?P<first>\w+) and (?P<second>\w+) together"
    r"|(?P<number>\d+) (?P<way>more|fewer) \w+ than (?P<other>\w+))\."
)
LONGEST_SEQUENCE = 200


class PlanStep(NamedTuple):
    name: str
    relation: Relation | Literal["affine"]
    numbers: tuple[int, ...]
    inputs: tuple[int, ...]
    """Positions of the steps whose values it uses; negative ones count back from the end of ``SolutionPlan.starts``."""

    def work(self, values: Sequence[int]) -> tuple[str, int]:
        """Return the expression that a solution writes (empty for a given number), and its value."""
        if self.relation == "affine":
            factor, shift = self.numbers
            return f"{factor} * {plus(values[0], shift)}", factor * values[0] + shift
        return worked_out(self.relation, self.numbers[0] if self.numbers else 0, values)

    def line(self, expression: str, value: int) -> str:
        return f"{self.name} = {expression} = {value}\n" if expression else f"{self.name} = {value}\n"


class SolutionPlan(NamedTuple):
    starts: tuple[int, ...]
    """Values that the question gives and no step states (a sequence's first terms)."""
    steps: tuple[PlanStep, ...]
    truth: tuple[int, ...]
    lines: tuple[str, ...]
    """The right line of each step."""
    places: dict[str, int]
    """Each name's step."""


def find_question(text: str) -> tuple[SolutionPlan, int]:
    """Return the plan of the last question that is understood, and where in the prompt that ends.

    Else a two-step guess about the first line.
    """
    found = [m for pattern in (AFFINE, SUMS, ASKED) for m in pattern.finditer(text)]
    for match in sorted(found, key=lambda m: -m.end()):
        start = 0 if match.re is ASKED else match.start()
        plan = _read(text[start : match.end()])
        if plan is not None:
            return plan, match.end()
    first = text.split("\n", 1)[0]
    return _guess(first), len(first)


@lru_cache(maxsize=4096)
def _read(question: str) -> SolutionPlan | None:
    if match := AFFINE.fullmatch(question):
        start, factor, size, last = (int(match[i]) for i in (1, 2, 4, 5))
        shift = -size if match[3] == "minus" else size
        return _sequence((start,), last, "affine", (factor, shift))
    if match := SUMS.fullmatch(question):
        return _sequence((int(match[1]), int(match[2])), int(match[3]), "together", ())
    return _quantities(question)


def _sequence(
    starts: tuple[int, ...], last: int, relation: Literal["affine", "together"], numbers: tuple[int, ...]
) -> SolutionPlan | None:
    back = len(starts)
    if not back < last <= LONGEST_SEQUENCE:
        return None
    steps = [PlanStep(f"t{back + i + 1}", relation, numbers, tuple(range(i - back, i))) for i in range(last - back)]
    return _plan(starts, steps)


def _quantities(question: str) -> SolutionPlan | None:
    said: dict[str, tuple[Relation, tuple[int, ...], tuple[str, ...]]] = {}
    for m in SENTENCE.finditer(question):
        said[m["name"]] = _relation(m)
    match = list(ASKED.finditer(question))[-1]
    needed, pending = set(), [match[2]]
    while pending:
        name = pending.pop()
        if name not in said:
            return None
        if name not in needed:
            needed.add(name)
            pending += said[name][2]
    return _ordered({name: relation for name, relation in said.items() if name in needed}, match[2])


def _relation(m: re.Match[str]) -> tuple[Relation, tuple[int, ...], tuple[str, ...]]:
    if m["given"]:
        return "given", (int(m["given"]),), ()
    if m["times"]:
        return "times", (int(m["times"]),), (m["base"],)
    if m["whole"]:
        return "half", (2,), (m["whole"],)
    if m["first"]:
        return "together", (), (m["first"], m["second"])
    return ("more" if m["way"] == "more" else "fewer"), (int(m["number"]),), (m["other"],)


def _ordered(said: dict[str, tuple[Relation, tuple[int, ...], tuple[str, ...]]], target: str) -> SolutionPlan | None:
    """The first in the question's order with all inputs available comes next; the target ends up last."""
    steps: list[PlanStep] = []
    places: dict[str, int] = {}
    while len(places) < len(said):
        ready = (n for n, (_, _, inputs) in said.items() if n not in places and all(i in places for i in inputs))
        name = next(ready, None)
        if name is None:
            return None
        relation, numbers, inputs = said[name]
        places[name] = len(steps)
        steps.append(PlanStep(name, relation, numbers, tuple(places[i] for i in inputs)))
    return _plan((), steps) if steps[-1].name == target else None


@lru_cache(maxsize=4096)
def _guess(line: str) -> SolutionPlan:
    number = crc32(line.encode("utf-8", "surrogatepass"))
    guess = PlanStep("Guess", "given", (10 + number % 90,), ())
    check = PlanStep("Check", "more", (2 + number // 90 % 18,), (0,))
    return _plan((), [guess, check])


def _plan(starts: tuple[int, ...], steps: list[PlanStep]) -> SolutionPlan:
    truth: list[int] = []
    lines = []
    for step in steps:
        expression, value = step.work([(truth if i >= 0 else starts)[i] for i in step.inputs])
        truth.append(value)
        lines.append(step.line(expression, value))
    places = {step.name: i for i, step in enumerate(steps)}
    return SolutionPlan(starts, tuple(steps), tuple(truth), tuple(lines), places)
