"""Small functions to write: a plain wording, a reference program of a statement a line, and unit tests.

The tests' values come from a second way to work them out, never from the reference program.
"""

from collections.abc import Callable
from functools import reduce
from random import Random
from typing import ClassVar, Literal, NamedTuple

from stepforge.generators.family import ProblemFamily, group_of
from stepforge.schemas.problem import Problem
from stepforge.schemas.verifier import UnitTests

CASES = 8
"""Calls that the tests of a problem make."""
SECONDS = 2.0
NAME = "f"


class Clause(NamedTuple):
    """A condition or a change of one number: in words, in Python, and as a function; ``shape`` without its numbers."""

    words: str
    code: str
    value: Callable[[int], int]
    shape: str


class Task(NamedTuple):
    """A function to write, before it has an id."""

    words: str
    parameters: tuple[str, ...]
    """Names; what a name stands for follows from its letter (``_argument``)."""
    body: tuple[str, ...]
    """Lines of the reference program after ``def``, indented."""
    answer: Callable[..., object]
    shape: str


class Programs(ProblemFamily):
    """``Write f(xs): add up x * 2 for each even x in xs.`` Outcomes come from unit tests."""

    kind: Literal["programs"] = "programs"
    domain: ClassVar[str] = "code"

    def item(self, seed: int, index: int) -> Problem:
        """Return item ``index``; its reference program has 2 to 10 lines."""
        rng, level = self.seeded(seed, index)
        task = rng.choice(TASKS[level])(rng)
        head = f"{NAME}({', '.join(task.parameters)})"
        return Problem(
            id=f"{self.kind}-{seed}-{index:07d}",
            source=self.kind,
            domain=self.domain,
            question=f"Write {head}: {task.words}.",
            answer=None,
            answer_kind="text",
            difficulty=level,
            group=group_of(self.kind, task.shape),
            verifier=UnitTests(tests=_tests(task, rng), entry_point=NAME, seconds=SECONDS),
            known_solution="\n".join([f"def {head}:", *(f"    {line}" for line in task.body)]) + "\n",
        )


def _tests(task: Task, rng: Random) -> str:
    """Return one assertion a line; empty lists and texts are among the first calls."""
    calls: dict[str, str] = {}
    for number in range(20 * CASES):
        arguments = [_argument(name, rng, empty=number == 0) for name in task.parameters]
        call = ", ".join(map(repr, arguments))
        calls.setdefault(call, f"assert {NAME}({call}) == {task.answer(*arguments)!r}")
        if len(calls) == CASES:
            break
    return "\n".join(calls.values())


def _argument(name: str, rng: Random, *, empty: bool) -> object:
    if name == "xs":
        return [rng.randint(0, 12) for _ in range(0 if empty else rng.randint(1, 6))]
    if name == "s":
        return "".join(rng.choice("aabcde") for _ in range(0 if empty else rng.randint(1, 7)))
    return 0 if empty else rng.randint(0, 20)


def _change(rng: Random, x: str = "x") -> Clause:
    k, m = rng.randint(2, 9), rng.randint(1, 9)
    if rng.random() < 0.4:
        return Clause(f"{x} times {k} plus {m}", f"{x} * {k} + {m}", lambda n: n * k + m, "times plus")
    return rng.choice(
        (
            Clause(f"{x} times {k}", f"{x} * {k}", lambda n: n * k, "times"),
            Clause(f"{x} plus {k}", f"{x} + {k}", lambda n: n + k, "plus"),
            Clause(f"{x} minus {k}", f"{x} - {k}", lambda n: n - k, "minus"),
            Clause(f"{x} times {x}", f"{x} * {x}", lambda n: n * n, "square"),
        )
    )


def _two_changes(rng: Random, x: str) -> tuple[Clause, Clause]:
    first, second = _change(rng, x), _change(rng, x)
    return (first, second) if first.code != second.code else _two_changes(rng, x)


def _condition(rng: Random, x: str = "x") -> Clause:
    k, d = rng.randint(3, 9), rng.randint(3, 5)
    return rng.choice(
        (
            Clause("even", f"{x} % 2 == 0", lambda n: n % 2 == 0, "even"),
            Clause("odd", f"{x} % 2 == 1", lambda n: n % 2 == 1, "odd"),
            Clause(f"above {k}", f"{x} > {k}", lambda n: n > k, "above"),
            Clause(f"below {k}", f"{x} < {k}", lambda n: n < k, "below"),
            Clause(f"divisible by {d}", f"{x} % {d} == 0", lambda n: n % d == 0, "divisible"),
        )
    )


def _two_numbers(rng: Random) -> Task:
    change = _change(rng, "a")
    sign, words, by = rng.choice((("+", "plus", 1), ("-", "minus", -1)))
    lines = (f"c = {change.code}", f"return c {sign} b")
    words = f"c is {change.words}; return c {words} b"
    return Task(words, ("a", "b"), lines, lambda a, b: change.value(a) + by * b, f"two {change.shape} {sign}")


def _chain(rng: Random, length: int) -> Task:
    changes = [_change(rng, "a" if i == 0 else "c") for i in range(length)]
    then = ", then ".join(f"c is {change.words}" for change in changes)
    lines = (*(f"c = {change.code}" for change in changes), "return c")

    def answer(a: int) -> int:
        return reduce(lambda value, change: change.value(value), changes, a)

    return Task(f"{then}; return c", ("a",), lines, answer, f"chain {_shapes(*changes)}")


def _shapes(*clauses: Clause) -> str:
    return " ".join(clause.shape for clause in clauses)


def _choice(rng: Random) -> Task:
    when, (yes, no) = _condition(rng, "a"), _two_changes(rng, "a")
    lines = (f"if {when.code}:", f"    return {yes.code}", f"return {no.code}")
    words = f"if a is {when.words} return {yes.words}, else {no.words}"
    shape = f"choice {_shapes(when, yes, no)}"
    return Task(words, ("a",), lines, lambda a: yes.value(a) if when.value(a) else no.value(a), shape)


def _larger(rng: Random) -> Task:
    sign, name, pick = rng.choice(((">", "larger", max), ("<", "smaller", min)))
    change = _change(rng, "c")
    lines = ("c = b", f"if a {sign} b:", "    c = a", f"return {change.code}")
    words = f"c is the {name} of a and b; return {change.words}"
    return Task(words, ("a", "b"), lines, lambda a, b: change.value(pick(a, b)), f"larger {name} {change.shape}")


def _each(change: Clause, when: Clause | None, *, total: bool) -> Task:
    """Add up or list what a change makes of each x, or of those for which a condition holds."""
    do, name, start, step, end = (
        ("add up", "total", "t = 0", f"t = t + {change.code}", "return t")
        if total
        else ("list", "list", "r = []", f"r.append({change.code})", "return r")
    )
    test, pad = ((f"    if {when.code}:",), "    ") if when else ((), "")
    words = f"{do} {change.words} for each x in xs" + (f" that is {when.words}" if when else "")
    shape = f"chosen {name} {_shapes(when, change)}" if when else f"{name} {change.shape}"

    def answer(xs: list[int]) -> object:
        kept = [change.value(x) for x in xs if when is None or when.value(x)]
        return sum(kept) if total else kept

    return Task(words, ("xs",), (start, "for x in xs:", *test, f"    {pad}{step}", end), answer, shape)


def _chosen(rng: Random) -> Task:
    when, change = _condition(rng), _change(rng)
    return _each(change, when, total=rng.random() < 0.5)


def _count(rng: Random) -> Task:
    change, when = _change(rng), _condition(rng, "y")
    lines = ("n = 0", "for x in xs:", f"    y = {change.code}", f"    if {when.code}:", "        n = n + 1", "return n")
    words = f"y is {change.words} for each x in xs; count the y that are {when.words}"
    shape = f"count {_shapes(change, when)}"
    return Task(words, ("xs",), lines, lambda xs: sum(when.value(change.value(x)) for x in xs), shape)


def _largest(rng: Random) -> Task:
    when, start = _condition(rng), rng.randint(0, 3)
    lines = (f"m = {start}", "for x in xs:", f"    if {when.code} and x > m:", "        m = x", "return m")
    words = f"return the largest x in xs that is {when.words}, at least {start}"
    return Task(words, ("xs",), lines, lambda xs: max([start, *filter(when.value, xs)]), f"largest {when.shape}")


def _letters(rng: Random) -> Task:
    letter, other = rng.sample("abcde", 2)
    kind = rng.choice(("count", "drop", "swap", "double"))
    loop = ("for c in s:", f"    if c == '{letter}':")
    if kind == "count":
        counting = ("n = 0", *loop, "        n = n + 1", "return n")
        return Task(f"count the letter {letter} in s", ("s",), counting, lambda s: s.count(letter), kind)
    if kind == "drop":
        dropping = ("r = ''", "for c in s:", f"    if c != '{letter}':", "        r = r + c", "return r")
        return Task(f"drop the letter {letter} from s", ("s",), dropping, lambda s: s.replace(letter, ""), kind)
    new = letter * 2 if kind == "double" else other
    lines = ("r = ''", *loop, f"        c = '{new}'", "    r = r + c", "return r")
    return Task(f"replace each {letter} in s by {new}", ("s",), lines, lambda s: s.replace(letter, new), kind)


def _reversed_text(rng: Random) -> Task:
    times, letter, count = rng.randint(1, 3), rng.choice("abcdefgh"), rng.randint(1, 5)
    lines = ("r = ''", "for c in s:", f"    r = c * {times} + r", f"return r + '{letter}' * {count}")
    words = f"return s backward, each letter {times} times, then {letter} {count} times"
    end = letter * count
    return Task(words, ("s",), lines, lambda s: "".join(c * times for c in reversed(s)) + end, "backward")


def _below(rng: Random) -> Task:
    when, change = _condition(rng, "i"), _change(rng, "i")
    lines = ("t = 0", "for i in range(a):", f"    if {when.code}:", f"        t = t + {change.code}", "return t")
    words = f"add up {change.words} for each i below a that is {when.words}"
    shape = f"below {_shapes(when, change)}"
    return Task(words, ("a",), lines, lambda a: sum(map(change.value, filter(when.value, range(a)))), shape)


def _balance(rng: Random) -> Task:
    when, (yes, no) = _condition(rng), _two_changes(rng, "x")
    loop = ("t = 0", "for x in xs:", f"    if {when.code}:", f"        t = t + {yes.code}", "    else:")
    lines = (*loop, f"        t = t - ({no.code})", "return t")
    words = f"for each x in xs, add {yes.words} if x is {when.words}, else take away {no.words}"
    shape = f"balance {_shapes(when, yes, no)}"
    return Task(
        words, ("xs",), lines, lambda xs: sum(yes.value(x) if when.value(x) else -no.value(x) for x in xs), shape
    )


def _digits(rng: Random) -> Task:
    change = _change(rng, "d")
    lines = ("t = 0", "while a > 0:", "    d = a % 10", f"    t = t + {change.code}", "    a = a // 10", "return t")
    words = f"add up {change.words} for each digit d of a, 0 has none"
    shape = f"digits {change.shape}"
    return Task(words, ("a",), lines, lambda a: sum(change.value(int(d)) for d in str(a)) if a else 0, shape)


def _two_loops(rng: Random) -> Task:
    change, when, last = _change(rng), _condition(rng, "y"), _change(rng, "y")
    loops = ("r = []", "for x in xs:", f"    r.append({change.code})", "t = 0", "for y in r:", f"    if {when.code}:")
    lines = (*loops, f"        t = t + {last.code}", "return t")
    words = f"r lists {change.words} for each x in xs; add up {last.words} for each y in r that is {when.words}"
    shape = f"two loops {_shapes(change, when, last)}"
    return Task(
        words, ("xs",), lines, lambda xs: sum(last.value(y) for y in map(change.value, xs) if when.value(y)), shape
    )


TASKS: dict[int, tuple[Callable[[Random], Task], ...]] = {
    1: (_two_numbers, lambda rng: _chain(rng, 1), lambda rng: _chain(rng, 2)),
    2: (lambda rng: _chain(rng, 3), _choice, _larger),
    3: (
        lambda rng: _each(_change(rng), None, total=True),
        lambda rng: _each(_change(rng), None, total=False),
        _reversed_text,
        lambda rng: _chain(rng, 4),
    ),
    4: (_count, _letters, _largest),
    5: (_chosen, _below, _letters),
    6: (_balance, _digits, _two_loops),
}
"""Templates by level: the reference programs get longer and deeper."""
