"""What an answer may be, once it is read; and reading an option: ``(B)``, ``B. 12 apples``, ``Option B``."""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from stepforge.grading.plain_numbers import PlainNumber
from stepforge.grading.regions import Region
from stepforge.grading.spelling import without_text_commands
from stepforge.grading.trees import Formula
from stepforge.grading.units import Unit
from stepforge.grading.vocabulary import is_word

ItemsKind = Literal["list", "tuple", "interval", "matrix"]
"""``list`` is an unordered collection (``1, -2`` or ``\\{1, -2\\}``), ``tuple`` may be an open or closed interval,
``interval`` is a half-open one."""
_LONE = re.compile(r"(\()?\s*([A-Ja-j])\s*\)?(?:\s+([A-Za-z]{3}[A-Za-z ]*))?")
_NAMED = re.compile(r"(?:[Oo]ption|[Cc]hoice)\s+\(?([A-Za-z])(?:\)\s*|\s*[.:]\s*|$)(.*)", re.DOTALL)
_MARKED = re.compile(r"\(\s*([A-Za-z])\s*\)\s*(.*)|\s*([A-J](?=\s*[).:])|[a-j](?=\s*\)))\s*[).:]\s*(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Value:
    """One quantity: a plain number, a formula, or both where ``20m`` may be a number with a unit or a product."""

    text: str
    number: PlainNumber | None
    formula: Formula | None
    unit: Unit
    """The formula's unit; a plain number has its own."""


@dataclass(frozen=True, slots=True)
class Words:
    """A name, a day, yes or no; folded and without punctuation."""

    text: str
    written: bool
    r"""Whether it was marked as text by ``\text``."""
    plain: str
    """As written."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One option, and its text where that was given along."""

    letter: str
    rest: str
    marked: bool
    """Whether it is bracketed or has a text, so that it cannot be a variable."""


@dataclass(frozen=True, slots=True)
class Items:
    """A collection; the cells of a matrix go row by row."""

    kind: ItemsKind
    parts: tuple["Reading", ...]
    rows: int = 1
    text: str = ""
    bracket: str = ""


@dataclass(frozen=True, slots=True)
class Equation:
    """Two formulas said to be equal; a name where the left side is nothing else."""

    name: str | None
    left: Formula | None
    right: "Reading"


@dataclass(frozen=True, slots=True)
class Ratio:
    """``2:3``, or a time of day."""

    parts: tuple[Fraction, ...]
    half: str
    """``am`` or ``pm``, in any case; empty where none is given."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """The empty set, or no solution."""


@dataclass(frozen=True, slots=True)
class Unread:
    """What this module does not read."""

    text: str


Reading = Value | Words | Choice | Items | Equation | Ratio | Nothing | Region | Unread


def lone_option(text: str) -> Choice | None:
    """Return an option that nothing else can be: a letter in brackets, alone or before words."""
    plain = without_text_commands(text)
    lone = _LONE.fullmatch(plain)
    words = (lone[3] or "").strip() if lone is not None else ""
    if lone is None or not (lone[1] or (plain != text and not words)) or (words and not _says(words)):
        return None
    return Choice(lone[2].upper(), words, marked=True)


def _says(words: str) -> bool:
    return is_word(words) or words.islower()  # "(A) fig": letters after a blank


def marked_option(text: str) -> Choice | None:
    """Return an option with its text, of what was not read as a value."""
    if (named := _NAMED.fullmatch(text)) is not None:
        return Choice(named[1].upper(), named[2].strip(), marked=True)
    if (marked := _MARKED.fullmatch(text)) is None:
        return None
    return Choice((marked[1] or marked[3]).upper(), (marked[2] if marked[1] else marked[4]).strip(), marked=True)
