"""Word problems with numbers too large for mental arithmetic: steps may call a calculator a limited number of times.

A call is spent well on a product of two numbers with two digits each; a needless one is missing later.
"""

from itertools import pairwise
from operator import add, mul, sub
from random import Random
from typing import ClassVar, Literal, NamedTuple

from stepforge.generators.families.quantities import ITEMS, PEOPLE
from stepforge.generators.family import Worked, WorkedFamily
from stepforge.grading.calls import CLOSE, OPEN, worth_a_call
from stepforge.schemas.problem import Quantity

LARGEST_MULTIPLIED = 500
_APPLY = {"*": mul, "+": add, "-": sub}


class Step(NamedTuple):
    """One person's number, from that of the person before."""

    name: str
    operator: str
    number: int
    sentence: str


class Story(NamedTuple):
    """Who has how many at first, and the steps from there."""

    name: str
    start: int
    steps: tuple[Step, ...]


class Tools(WorkedFamily):
    """``Ann has 24 pens. Bob has 37 times as many pens as Ann. ... Calculator calls: 1.``"""

    kind: Literal["tools"] = "tools"
    domain: ClassVar[str] = "tools"

    def work(self, rng: Random, level: int) -> Worked:
        """Write one problem of ``level + 1`` steps, at least one of which is worth a call."""
        names = rng.sample(PEOPLE, level + 2)
        item, start = rng.choice(ITEMS), rng.randint(11, 40)
        steps = _steps(rng, names, item, start, level)
        story = Story(names[0], start, steps)
        quantities = quantities_of(story)
        calls = sum(worth_a_call(quantity.expression) for quantity in quantities)
        if not calls:
            return self.work(rng, level)
        sentences = [f"{names[0]} has {start} {item}.", *(step.sentence for step in steps)]
        return Worked(
            question=f"{' '.join(sentences)} How many {item} does {names[level + 1]} have? Calculator calls: {calls}.",
            lines=tuple(line_of(quantity) for quantity in quantities),
            answer=quantities[-1].value,
            answer_kind="integer",
            reading="calls",
            shape=" ".join(step.operator for step in steps),
            drawn=story,
            quantities=quantities,
            calls=calls,
        )


def _steps(rng: Random, names: list[str], item: str, value: int, level: int) -> tuple[Step, ...]:
    steps = []
    for before, name in pairwise(names):
        operator = rng.choice("**+-") if value < LARGEST_MULTIPLIED else rng.choice("+-")
        if operator == "*":
            number = rng.randint(2, 5) if value < 100 and rng.random() < 0.5 else rng.randint(12, 39)
            told = f"{number} times as many {item} as"
        else:
            number = rng.randint(1, 9) if rng.random() < 0.5 else rng.randint(11, 49)
            if operator == "-" and number >= value:
                operator = "+"
            told = f"{number} {'more' if operator == '+' else 'fewer'} {item} than"
        value = _APPLY[operator](value, number)
        steps.append(Step(name, operator, number, f"{name} has {told} {before}."))
    return tuple(steps)


def quantities_of(story: Story, slip: tuple[int, int] | None = None) -> tuple[Quantity, ...]:
    """Return every quantity; with a slip, that many is added to the value at that place."""
    value = story.start
    found = [Quantity(name=story.name, expression="", value=str(value))]
    for place, step in enumerate(story.steps, start=1):
        expression = f"{value} {step.operator} {step.number}"
        value = _APPLY[step.operator](value, step.number)
        value += slip[1] if slip is not None and slip[0] == place else 0
        found.append(Quantity(name=step.name, expression=expression, value=str(value)))
    return tuple(found)


def line_of(quantity: Quantity, *, call: bool | None = None) -> str:
    if worth_a_call(quantity.expression) if call is None else call:
        return f"{quantity.name} = {OPEN}{quantity.expression}{CLOSE} = {quantity.value}"
    return quantity.statement
