"""Which rows make up which problem, found by reading every row once."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import NamedTuple

from stepforge.generators.problem_sets import ProblemSet, SourceItem
from stepforge.schemas.errors import BadInput
from stepforge.schemas.record import Record

GAP = 512
"""Rows that are read and skipped rather than starting over."""
Outcome = tuple[str, int, SourceItem | BadInput]
"""A row's file and its number there, and what it holds."""


class ProblemCount(Record):
    """What a check found; ``rows = problems + merged + rejected``."""

    rows: int
    problems: int
    merged: int = 0
    """Rows that add their solution to the problem of an earlier row."""
    rejected: int
    solutions: int
    """Supplied solutions."""
    without_answer: int
    """Problems without a reference answer."""


class Survey(NamedTuple):
    counted: ProblemCount
    repeats: dict[int, str]
    """For each row that contradicts an earlier one or repeats it, by position, the message about it."""
    firsts: "array[int]"
    """Position of the first row of each problem; rows that cannot be used stand alone."""
    further: dict[int, list[int]]
    """Position of a problem's first row -> positions of its other rows."""

    def joins_earlier(self, start: int) -> bool:
        """Whether a row from position ``start`` on adds to a problem that begins before it."""
        return any(first < start <= max(others) for first, others in self.further.items())


class _Told:
    """What is remembered of each row: 24 bytes, where objects would take hundreds."""

    def __init__(self) -> None:
        self._files: list[tuple[int, str]] = []
        self._numbers, self.asked, self.answers = array("q"), array("Q"), array("Q")

    def add(self, name: str, number: int, item: SourceItem | BadInput) -> None:
        if not self._files or self._files[-1][1] != name:
            self._files.append((len(self._numbers), name))
        problem = item.problem if isinstance(item, SourceItem) else None
        self._numbers.append(number)
        self.asked.append(_number(_asked(problem.question)) if problem else 0)
        self.answers.append(_number(_key(f"={problem.answer}")) if problem and problem.answer is not None else 0)

    def place(self, position: int) -> str:
        _, name = self._files[bisect_right(self._files, position, key=lambda file: file[0]) - 1]
        return f"{name}, row {self._numbers[position]}"


def survey(part: ProblemSet, rows: Iterable[Outcome], source: str) -> Survey:
    """Find the problems of a set; ``source`` names it in the error where it has none."""
    repeats: dict[int, str] = {}
    last: BadInput | None = None
    firsts, further = array("q"), dict[int, list[int]]()
    told, known = _Told(), dict[bytes, int]()
    counts = dict.fromkeys(("rows", "problems", "merged", "rejected", "solutions", "without_answer"), 0)
    for position, (name, number, item) in enumerate(rows):
        counts["rows"] += 1
        told.add(name, number, item)
        fault = item if isinstance(item, BadInput) else None
        last = fault or last
        if isinstance(item, SourceItem):
            problem = item.problem
            first = known.setdefault(_key(problem.id) if part.id else _asked(problem.question), position)
            if first != position:
                why = _why_not(part, told, first, position)
                repeats |= {position: f"{told.place(position)}: {why}"} if why else {}
                fault = BadInput(repeats[position]) if why else None
            if fault is None:
                counts["solutions"] += len(item.solutions)
                counts["merged" if first != position else "problems"] += 1
                counts["without_answer"] += first == position and problem.answer is None and problem.verifier is None
                if first != position:
                    further.setdefault(first, []).append(position)
                    continue
        if fault is not None:
            if part.on_bad_row == "stop":
                raise fault
            counts["rejected"] += 1
        firsts.append(position)
    if not counts["problems"]:
        raise BadInput(f"{source}: no usable row among {counts['rows']}{f'; the last: {last}' if last else ''}")
    return Survey(ProblemCount(**counts), repeats, firsts, further)


def together(items: Iterable[SourceItem]) -> SourceItem:
    """Return rows of one problem as one: the first one's problem with the solutions of all."""
    first, *others = items
    return first.model_copy(
        update={"solutions": tuple(solution for item in (first, *others) for solution in item.solutions)}
    )


def _why_not(part: ProblemSet, told: _Told, first: int, mine: int) -> str | None:
    """Return why a row cannot join the problem of an earlier one; None if it can."""
    name, place = f"id (column {part.id!r})" if part.id else "question", told.place(first)
    if not part.supplies:
        remedy = "make ids unique" if part.id else "remove one, name an id column"
        return f"{name} is that of {place}; {remedy}, or set on_bad_row = 'reject'"
    if told.asked[mine] != told.asked[first]:
        return f"{name} is that of {place}, which asks another question; give it its own id"
    if told.answers[mine] != told.answers[first]:
        return f"{name} is that of {place}, whose answer is another; correct one of them"
    return None


def _asked(question: str) -> bytes:
    return _key(" ".join(question.split()))


def _key(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


def _number(key: bytes) -> int:
    return int.from_bytes(key[:8], "little")


def runs(positions: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield ordered positions in runs read in one go: each is close to the next."""
    starts = [i for i, (one, after) in enumerate(pairwise(positions), start=1) if after - one > GAP]
    return (positions[a:b] for a, b in pairwise([0, *starts, len(positions)]) if a < b)
