"""The kinds of puzzles. To add one, write its class and add it to ``KINDS``."""

from collections.abc import Iterator
from functools import lru_cache
from typing import ClassVar, NamedTuple

from stepforge.grading.puzzle import Puzzle
from stepforge.schemas.rollout import Outcome


class Levels(NamedTuple):
    a: int
    b: int


class Jugs(Puzzle):
    """Two jugs, a tap and a drain: measure an amount. Moves: ``fill A``, ``empty B``, ``pour A B``."""

    text = "Jug A holds {size_a} and jug B {size_b}. Both are empty. Get {wanted} in jug A in at most {limit} moves."
    size_a: int
    size_b: int
    wanted: int

    @property
    def start(self) -> Levels:
        return Levels(0, 0)

    def moves(self, state: Levels) -> Iterator[tuple[str, Levels]]:
        """Yield the moves that change something."""
        a, b = state
        poured, back = min(a, self.size_b - b), min(b, self.size_a - a)
        every = {
            "fill A": Levels(self.size_a, b),
            "fill B": Levels(a, self.size_b),
            "empty A": Levels(0, b),
            "empty B": Levels(a, 0),
            "pour A B": Levels(a - poured, b + poured),
            "pour B A": Levels(a + back, b - back),
        }
        yield from ((move, after) for move, after in every.items() if after != state)

    def solved(self, state: Levels) -> bool:
        return state.a == self.wanted


DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, 1), "down": (0, -1)}


class Cell(NamedTuple):
    """A place on the grid, counted from 0 at the left and at the bottom."""

    x: int
    y: int


class Grid(Puzzle):
    """A robot on a grid with walls. Moves: ``left``, ``right``, ``up``, ``down``."""

    text = (
        "A robot stands at {robot} on a grid of {width} by {height}. Walls: {walls}. "
        "Go to {goal} in at most {limit} moves."
    )
    lists: ClassVar = {"robot": ("{}", " "), "walls": ("{} {}", ", "), "goal": ("{}", " ")}
    width: int
    height: int
    walls: tuple[Cell, ...]
    robot: Cell
    goal: Cell

    @property
    def start(self) -> Cell:
        return self.robot

    def moves(self, state: Cell) -> Iterator[tuple[str, Cell]]:
        """Yield the moves that stay on the grid and meet no wall."""
        for name, (x, y) in DIRECTIONS.items():
            after = Cell(state.x + x, state.y + y)
            if 0 <= after.x < self.width and 0 <= after.y < self.height and after not in self.walls:
                yield name, after

    def solved(self, state: Cell) -> bool:
        return state == self.goal


ALONE = "nothing"


class Banks(NamedTuple):
    """Who is across, and whether you are."""

    across: frozenset[str]
    rower: bool


class River(Puzzle):
    """A boat for one beside who rows: nothing may be eaten. A move names who comes along: ``goat``, or ``nothing``."""

    text = (
        "Take {party} across a river. The boat holds you and one of them. Left alone, {eats}. "
        "Use at most {limit} trips."
    )
    lists: ClassVar = {"party": ("a {}", " and "), "eats": ("the {} eats the {}", " and ")}
    party: tuple[str, ...]
    eats: tuple[tuple[str, str], ...]

    @property
    def start(self) -> Banks:
        return Banks(frozenset(), False)

    def moves(self, state: Banks) -> Iterator[tuple[str, Banks]]:
        """Yield the trips after which nothing is eaten."""
        here = state.across if state.rower else frozenset(self.party) - state.across
        for name in (*(n for n in self.party if n in here), ALONE):
            across = state.across ^ {name} if name != ALONE else state.across
            after = Banks(across, not state.rower)
            left = frozenset(self.party) - across if after.rower else across
            if not any({eater, eaten} <= left for eater, eaten in self.eats):
                yield name, after

    def solved(self, state: Banks) -> bool:
        return len(state.across) == len(self.party)

    def told(self, state: Banks) -> str:
        """Return who is across, in the question's order, and where you are: ``goat, here``."""
        names = " ".join(name for name in self.party if name in state.across) or "none"
        return f"{names}, {'there' if state.rower else 'here'}"


TABLE = "table"

Stacks = frozenset[tuple[str, ...]]


class Blocks(Puzzle):
    """``A to B`` puts block A on B, ``A to table`` on the table. A stack is written from the bottom up: ``A C``."""

    text = "Stacks from the bottom up: {stacks}. Make the stack {goal} in at most {limit} moves."
    lists: ClassVar = {"stacks": ("{}", ", ")}
    stacks: tuple[str, ...]
    goal: str

    @property
    def start(self) -> Stacks:
        return frozenset(tuple(stack.split()) for stack in self.stacks)

    def moves(self, state: Stacks) -> Iterator[tuple[str, Stacks]]:
        for stack in sorted(state):
            *rest, block = stack
            left = state - {stack} | ({tuple(rest)} if rest else set())
            for other in sorted(state - {stack}):
                yield f"{block} to {other[-1]}", left - {other} | {(*other, block)}
            if rest:
                yield f"{block} to {TABLE}", left | {(block,)}

    def solved(self, state: Stacks) -> bool:
        return tuple(self.goal.split()) in state

    def told(self, state: Stacks) -> str:
        """Return the stacks in alphabetical order: ``A C, B``."""
        return ", ".join(" ".join(stack) for stack in sorted(state))


class Place(NamedTuple):
    """When it is open, how long a visit takes, in hours, and what it costs."""

    name: str
    opens: int
    closes: int
    takes: int
    costs: int


class Day(NamedTuple):
    """The hour, the money left, and what was seen."""

    hour: int
    money: int
    seen: frozenset[str]


class Trip(Puzzle):
    """A day out: a move names the place to visit next; ``limit`` is how many there are to be."""

    text = (
        "It is {hour} o'clock and you have {budget} euros. {places}. "
        "Getting to a place takes {travel}. Visit {limit} places."
    )
    lists: ClassVar = {"places": ("The {} is open from {} to {}, takes {} and costs {}", ". ")}
    hour: int
    budget: int
    travel: int
    """Hours to get to a place."""
    places: tuple[Place, ...]

    @property
    def start(self) -> Day:
        return Day(self.hour, self.budget, frozenset())

    def moves(self, state: Day) -> Iterator[tuple[str, Day]]:
        """Yield the places that can be paid and seen before they close."""
        if len(state.seen) == self.limit:
            return
        for place in self.places:
            ends = max(state.hour + self.travel, place.opens) + place.takes
            if place.name not in state.seen and ends <= place.closes and place.costs <= state.money:
                yield place.name, Day(ends, state.money - place.costs, state.seen | {place.name})

    def solved(self, state: Day) -> bool:
        return len(state.seen) == self.limit

    def told(self, state: Day) -> str:
        """Return the hour at which the visit ends and the money left: ``13, 4 left``."""
        return f"{state.hour}, {state.money} left"


KINDS = (Jugs, Grid, River, Blocks, Trip)


@lru_cache(maxsize=256)
def read_puzzle(question: str) -> Puzzle | None:
    return next((puzzle for kind in KINDS if (puzzle := kind.read(question)) is not None), None)


def plan_outcome(question: str, answer: str) -> Outcome:
    """Carry out a plan, moves with commas between: any legal one that reaches the goal is right."""
    if (puzzle := read_puzzle(question)) is None:
        return "undetermined"
    return "correct" if puzzle.reaches_goal([move.strip() for move in answer.split(",")]) else "wrong"
