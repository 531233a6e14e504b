"""What the steps of a solution state, beside the question and the problem's other solutions.

A step is read as its numbers, its names (of the question) and its equations. Others back it if they have the same
equations and whatever else it says beside these; without an equation, if one sentence or step of theirs says it all.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from stepforge.grading.sentences import Reading, numbers_of, read_sentence
from stepforge.grading.stated import plain, states_false
from stepforge.labelers.change_point.rates import ALONE, ANSWER, BACKED, FALSE, NO_RESULT, NOTHING, OTHER, UNKNOWN
from stepforge.labelers.evidence.store import Beside

Texts = tuple[str, ...]
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+")
_CAPITALIZED = re.compile(r"[A-Z][a-z]+")
_ORDINAL = re.compile(r"\b(\d+)(?:st|nd|rd|th)\b")
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+")


class Said(NamedTuple):
    """What a step says."""

    numbers: frozenset[str]
    names: frozenset[str]
    whole: frozenset[str]
    """Its numbers, names and ordinal numbers."""
    equations: frozenset[frozenset[Texts]]
    """The numbers of each side of each."""
    concluded: frozenset[str]
    """The results of its equations; without one, its numbers."""


class Backing:
    """What sentences and steps say."""

    def __init__(self, texts: Iterable[str], names: frozenset[str]) -> None:
        self.numbers: frozenset[str] = frozenset()
        self._concluding: defaultdict[str, list[Said]] = defaultdict(list)
        self._beside: defaultdict[frozenset[Texts], set[str]] = defaultdict(set)
        """What is said in the same step as an equation."""
        for one in {said(text, names) for text in texts}:
            self.add(one)

    def add(self, one: Said) -> None:
        self.numbers |= one.numbers
        for number in one.concluded:
            self._concluding[number].append(one)
        for equation in one.equations:
            self._beside[equation] |= one.whole

    def works_out(self, one: Said) -> bool:
        """Whether it has the equations of a step that has any."""
        return bool(one.equations) and one.equations <= self._beside.keys()

    def backs(self, one: Said) -> bool:
        """Whether all of it is said."""
        if one.equations:
            return self.works_out(one) and one.whole <= set[str]().union(*(self._beside[e] for e in one.equations))
        found = min((self._concluding.get(number, []) for number in one.concluded), key=len)
        return any(one.whole <= other.whole and one.concluded <= other.concluded for other in found)


@lru_cache(maxsize=32_768)  # a search looks again and again at the same steps
def said(text: str, names: frozenset[str]) -> Said:
    """Read a step."""
    reading = read_sentence(plain(text))
    told = [[side for side in sides if side.strip() != "x"] for sides in _equations(reading)]
    read = [[tuple(sorted(numbers_of(side))) for side in sides] for sides in told if sides]
    numbers = reading.numbers.union(*(side for sides in read for side in sides))
    named = names.intersection(_CAPITALIZED.findall(text))
    return Said(
        numbers,
        named,
        numbers | named | frozenset(_ORDINAL.findall(text)),
        frozenset(frozenset(sides) for sides in read),
        frozenset(number for sides in read for number in sides[-1]) or numbers,
    )


def _equations(reading: Reading) -> tuple[Texts, ...]:
    return (*reading.equations, *reading.about_x)


@lru_cache(maxsize=64)
def stated(question: str, steps: Texts, right: tuple[Texts, ...]) -> tuple[int, ...]:
    """Classify each step by comparison with right solutions; a number is new where the solution states it
    first."""
    names = frozenset(_NAME.findall(question))
    before = Backing(_SENTENCE_END.split(question), names)
    theirs = Backing((text for texts in right for text in texts), names)
    kinds, worked = [], frozenset[str]()
    for text in steps:
        one = said(text, names)
        kinds.append(FALSE if states_false(text) else _kind(one, before, theirs, worked))
        before.add(one)
        worked |= one.numbers
    if kinds and kinds[-1] == NOTHING:
        kinds[-1] = ANSWER
    return tuple(kinds)


def result_counts(question: str, steps: Texts, right: Iterable[Beside]) -> list[tuple[int, int]]:
    """Return, for each step, how many right rollouts state its result, and of how many; ``NO_RESULT`` if it has none
    that the question or an earlier step has not. Rollouts that were given the step, or the result, do not count."""
    names = frozenset(_NAME.findall(question))
    told = [(one.shared, _numbers(one.before, names), _numbers(one.own, names)) for one in right]
    known, counts = said(question, names).numbers, []
    for place, text in enumerate(steps):
        one = said(text, names)
        result = one.concluded - known
        known |= one.numbers
        others = [own for shared, given, own in told if shared <= place and not result <= given]
        counts.append((sum(result <= own for own in others), len(others)) if result else NO_RESULT)
    return counts


@lru_cache(maxsize=4096)
def _numbers(texts: Texts, names: frozenset[str]) -> frozenset[str]:
    return frozenset[str]().union(*(said(text, names).numbers for text in texts))


def _kind(one: Said, before: Backing, right: Backing, worked: frozenset[str]) -> int:
    if not one.numbers or (not one.equations and before.backs(one)):
        return NOTHING
    if one.names and not one.equations:
        return ALONE
    if not right.numbers:
        return UNKNOWN
    if right.backs(one):
        return BACKED
    if right.works_out(one) or not one.numbers - before.numbers <= right.numbers:
        return ALONE
    return UNKNOWN if one.numbers <= worked else OTHER
