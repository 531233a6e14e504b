"""Reads a question of the ``sequence`` or ``quantities`` family into a plan: its steps in a valid order.

Invariant: a step's inputs come before it, and ``truth`` holds the right value of each.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import Literal, NamedTuple
from zlib import crc32

from stepforge.generators.draft import plus
from stepforge.generators.families.quantities import Relation, worked_out
from stepforge.generators.wording.grammar import plain_form

RELATIONS: tuple[Relation, ...] = ("given", "times", "half", "together", "more", "fewer")
WORD, NUMBER = r"\w+", r"\d+"
SLOTS = {"who": WORD, "item": WORD, "a": WORD, "b": WORD, "shift": rf"(?:plus|minus) {NUMBER}"}
"""What fills the slots of a plain question; the others hold numbers."""


def _pattern(rule: str) -> str:
    """Return what matches a sentence of plain wording: the slots are its groups."""
    parts = re.split(r"\{(\w+)\}", plain_form(rule))
    slots = [f"(?P<{slot}>{SLOTS.get(slot, NUMBER)})" for slot in parts[1::2]]
    return "".join(re.escape(text) + slot for text, slot in zip_longest(parts[::2], slots, fillvalue=""))


AFFINE, SUMS, ASKED = (re.compile(_pattern(rule)) for rule in ("q_affine", "q_series", "q_how_many"))
SENTENCES = {relation: re.compile(_pattern(f"q_{relation}")) for relation in RELATIONS}
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
        way, size = match["shift"].split()
        shift = -int(size) if way == "minus" else int(size)
        return _sequence((int(match["first"]),), int(match["k"]), "affine", (int(match["factor"]), shift))
    if match := SUMS.fullmatch(question):
        return _sequence((int(match["first"]), int(match["second"])), int(match["k"]), "together", ())
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
    told = [(m.start(), relation, m) for relation, form in SENTENCES.items() for m in form.finditer(question)]
    said = {m["who"]: _relation(relation, m.groupdict()) for _, relation, m in sorted(told, key=lambda one: one[0])}
    target = list(ASKED.finditer(question))[-1]["who"]
    needed, pending = set(), [target]
    while pending:
        name = pending.pop()
        if name not in said:
            return None
        if name not in needed:
            needed.add(name)
            pending += said[name][2]
    return _ordered({name: relation for name, relation in said.items() if name in needed}, target)


def _relation(relation: Relation, slots: Mapping[str, str]) -> tuple[Relation, tuple[int, ...], tuple[str, ...]]:
    numbers = (int(slots["n"]),) if "n" in slots else ()
    return relation, numbers, tuple(slots[name] for name in "ab" if name in slots)


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
