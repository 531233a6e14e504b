"""Word problems over a random graph of quantities, with depth, width and distractors under control.

In the spirit of iGSM (arXiv 2407.20311, section 2): who has how many is given through relations, some of
which do not matter, and the sentences need not come in the order of the solution.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field

from stepforge.generators.draft import Draft, Say, Sentence
from stepforge.generators.family import LONG_STEPS, Family
from stepforge.grading.exact import Exact
from stepforge.schemas.problem import Quantity

PEOPLE = "Ann Bob Cleo Dan Eve Finn Gus Hana Ivan Jo Kim Leo Mia Ned Oda Pam Ray Sue Tom Uma".split()
MORE_PEOPLE = (
    "Abby Ben Cora Dora Emil Flora Greg Hugo Ines Jack Kurt Lena Max Nina Olga Paul Quinn Rita Sam Tina Ulf Vera Walt "
    "Xena Yuri Zoe"
).split()
"""They come where there are not enough others."""
ITEMS = "coins books pens shells cards eggs stamps apples".split()
LARGEST = 90
"""No quantity of an honest solution is above this."""
SHUFFLED_FROM = 5
"""From this level on the sentences are shuffled."""

Relation = Literal["given", "times", "more", "fewer", "half", "together"]


WORKED_OUT: dict[Relation, tuple[str, Callable[[int, int, int], int]]] = {
    "given": ("", lambda n, a, b: n),
    "times": ("{n} * {a}", lambda n, a, b: n * a),
    "more": ("{a} + {n}", lambda n, a, b: a + n),
    "fewer": ("{a} - {n}", lambda n, a, b: a - n),
    "half": ("{a} / 2", lambda n, a, b: a // 2),
    "together": ("{a} + {b}", lambda n, a, b: a + b),
}
"""Expression and value, from a relation's number ``n``, and one or two other quantities ``a`` and ``b``."""


class _Node(NamedTuple):
    name: str
    relation: Relation
    number: int
    inputs: tuple[int, ...]
    value: int


class Quantities(Family):
    """``Ann has 7 coins. Bob has 3 times as many coins as Ann. ...``"""

    kind: Literal["quantities"] = "quantities"
    max_level: ClassVar[int] = max(LONG_STEPS)
    depth: int | None = Field(default=None, ge=1, le=12)
    """Relations between the first given number and the answer; by default the level, one more from level 4 on, and 8,
    16, 26 and 36 from level 7 on."""
    width: int | None = Field(default=None, ge=0, le=4)
    """How many of these relations join in a second quantity."""
    distractors: int | None = Field(default=None, ge=0, le=5)
    """Quantities that the answer does not depend on."""

    def draft(self, rng: Random, level: int) -> Draft:
        """Write one problem; retried until every value lies between 1 and ``LARGEST``."""
        depth = self.depth
        if depth is None:
            depth = LONG_STEPS[level] - 4 if level in LONG_STEPS else level + (level >= 4)
        width = min(level // 3, depth - 1) if self.width is None else self.width
        distractors = level // 2 if self.distractors is None else self.distractors
        nodes, chain = _graph(rng, depth, width, distractors)
        item = rng.choice(ITEMS)
        order = list(range(len(nodes)))
        if level >= SHUFFLED_FROM:
            rng.shuffle(order)
        target = nodes[chain[-1]].name
        told = tuple(Sentence(f"q_{nodes[i].relation}", _slots(nodes, nodes[i], item)) for i in order)
        told += (Sentence("q_how_many", {"who": target, "item": item}),)
        needed = _ancestors(nodes, chain[-1])
        return Draft(
            question=told,
            work=lambda say: _work(nodes, needed, say),
            shape=" ".join(f"{n.relation}{n.inputs}" for n in nodes) + f" -> {chain[-1]}",
            extras=_extras(nodes, needed),
        )


def _graph(rng: Random, depth: int, width: int, distractors: int) -> tuple[list[_Node], list[int]]:
    few = 1 + depth + width + distractors <= len(PEOPLE)
    people = PEOPLE if few else [*PEOPLE, *MORE_PEOPLE]
    names = rng.sample(people, len(people))
    joins = set(rng.sample(range(1, depth + 1), min(width, depth)))
    nodes = [_given(names.pop(), rng)]
    chain = [0]
    for position in range(1, depth + 1):
        second = None
        if position in joins:
            if len(nodes) < 3 or rng.random() < 0.5:
                nodes.append(_given(names.pop(), rng))
                second = len(nodes) - 1
            else:
                second = rng.choice([i for i in range(len(nodes)) if i != chain[-1]])
        nodes.append(_derived(names.pop(), nodes, chain[-1], second, rng))
        chain.append(len(nodes) - 1)
    for _ in range(distractors):
        nodes.append(_derived(names.pop(), nodes, rng.randrange(len(nodes)), None, rng))
    return nodes, chain


def _given(name: str, rng: Random) -> _Node:
    value = rng.randint(2, 12)
    return _Node(name, "given", value, (), value)


def _derived(name: str, nodes: list[_Node], first: int, second: int | None, rng: Random) -> _Node:
    a = nodes[first].value
    if second is not None and a + nodes[second].value <= LARGEST:
        return _Node(name, "together", 0, (first, second), a + nodes[second].value)
    choices: list[tuple[Relation, int, int]] = []
    if a <= LARGEST // 2:
        factor = rng.randint(2, min(4, LARGEST // a))
        choices += [("times", factor, a * factor)] * 2
    if a <= LARGEST - 10:
        more = rng.randint(2, 9)
        choices.append(("more", more, a + more))
    if a > 3:
        fewer = rng.randint(1, min(a - 1, 9))
        choices.append(("fewer", fewer, a - fewer))
    if a % 2 == 0 and a > 2:
        choices.append(("half", 2, a // 2))
    relation, number, value = rng.choice(choices)
    return _Node(name, relation, number, (first,), value)


def _ancestors(nodes: list[_Node], target: int) -> list[int]:
    seen = {target}
    for i in range(target, -1, -1):
        if i in seen:
            seen.update(nodes[i].inputs)
    return sorted(seen)


def _work(nodes: list[_Node], needed: list[int], say: Say) -> Exact:
    values: dict[int, int] = {}
    for i in needed:
        expression, value = worked_out(nodes[i].relation, nodes[i].number, [values[j] for j in nodes[i].inputs])
        values[i] = say(nodes[i].name, expression, value)
    return values[needed[-1]]


def worked_out(relation: Relation, number: int, inputs: Sequence[int]) -> tuple[str, int]:
    """Return the expression that a solution writes, empty for a given number, and its value."""
    a, b = (*inputs, 0, 0)[:2]
    expression, value = WORKED_OUT[relation]
    return expression.format(n=number, a=a, b=b), value(number, a, b)


def _extras(nodes: list[_Node], needed: list[int]) -> tuple[Quantity, ...]:
    """The distractors, with their expressions, marked as not needed."""
    extras = []
    for i, node in enumerate(nodes):
        if i not in needed:
            expression, value = worked_out(node.relation, node.number, [nodes[j].value for j in node.inputs])
            extras.append(Quantity(name=node.name, expression=expression, value=str(value), needed=False))
    return tuple(extras)


def _slots(nodes: list[_Node], node: _Node, item: str) -> dict[str, str]:
    slots = {"who": node.name, "item": item, "n": str(node.number)}
    return slots | dict(zip(("a", "b"), (nodes[i].name for i in node.inputs), strict=False))
