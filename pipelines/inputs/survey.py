"""Which rows make up which problem, found by reading every row once."""

from array import array
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import NamedTuple

from stepforge.generators.problem_sets import ProblemSet, SourceItem
from stepforge.schemas.errors import BadInput
from stepforge.schemas.record import Record

Outcome = tuple[str, SourceItem | BadInput]
"""A row's place in words, and what it holds."""


class ProblemCount(Record):
    """What a check found; ``rows = problems + merged + rejected``."""

    rows: int
    problems: int
    merged: int = 0
    """Rows that add their solution to the problem of an earlier row."""
    rejected: int
    solutions: int
    """Solutions that came along."""
    without_answer: int
    """Problems without a reference answer."""


class Survey(NamedTuple):
    """The rows of a problem set, by problem."""

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


class _First(NamedTuple):
    position: int
    place: str
    asked: bytes
    answer: str | None


def survey(part: ProblemSet, rows: Iterable[Outcome]) -> Survey:
    repeats: dict[int, str] = {}
    firsts, further = array("q"), dict[int, list[int]]()
    known: dict[bytes, _First] = {}
    counts = dict.fromkeys(("rows", "problems", "merged", "rejected", "solutions", "without_answer"), 0)
    for position, (place, item) in enumerate(rows):
        counts["rows"] += 1
        fault = item if isinstance(item, BadInput) else None
        if isinstance(item, SourceItem):
            problem = item.problem
            mine = _First(position, place, _key(" ".join(problem.question.split())), problem.answer)
            first = known.setdefault(_key(problem.id) if part.id else mine.asked, mine)
            if first is not mine:
                repeats |= {position: f"{place}: {why}"} if (why := _why_not(part, first, mine)) else {}
                fault = BadInput(repeats[position]) if position in repeats else None
            if fault is None:
                counts["solutions"] += len(item.solutions)
                counts["merged" if first is not mine else "problems"] += 1
                counts["without_answer"] += first is mine and problem.answer is None and problem.verifier is None
                if first is not mine:
                    further.setdefault(first.position, []).append(position)
                    continue
        if fault is not None:
            if part.on_bad_row == "stop":
                raise fault
            counts["rejected"] += 1
        firsts.append(position)
    return Survey(ProblemCount(**counts), repeats, firsts, further)


def together(items: Iterable[SourceItem]) -> SourceItem:
    """Return rows of one problem as one: the first one's problem with the solutions of all."""
    first, *others = items
    return first.model_copy(
        update={"solutions": tuple(solution for item in (first, *others) for solution in item.solutions)}
    )


def _why_not(part: ProblemSet, first: _First, mine: _First) -> str | None:
    """Return why a row cannot join the problem of an earlier one; None if it can."""
    name = f"id (column {part.id!r})" if part.id else "question"
    if not part.supplies:
        remedy = "make ids unique" if part.id else "remove one, name an id column"
        return f"{name} is that of {first.place}; {remedy}, or set on_bad_row = 'reject'"
    if mine.asked != first.asked:
        return f"{name} is that of {first.place}, which asks another question; give it an id of its own"
    if mine.answer != first.answer:
        return f"{name} is that of {first.place}, whose answer is another; correct one of them"
    return None


def _key(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


def runs(positions: Iterable[int], gap: int = 512) -> Iterator[list[int]]:
    """Yield ordered positions in runs that are read in one go: from one to the next it is not far."""
    run: list[int] = []
    for position in positions:
        if run and position - run[-1] > gap:
            yield run
            run = []
        run.append(position)
    if run:
        yield run
