"""What a step of any text states that can be checked: whether an equation in it is false, and its numbers.

Read strictly: where a text may mean something else, an equation says nothing. A decimal need only be a rounded value of
the other side, and so need a whole number that stands for a fraction; ``25%`` is 25 or 0.25, whichever fits; a bare
number at the front (``5 pairs = 5 * 2 = 10 shoes``) and what is only about equal are left out.
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

from stepforge.grading.exact import ExactError, evaluate
from stepforge.grading.sentences import read_sentence

_LATEX = [
    (re.compile(r"\\[dt]?frac\s*(?:(\d)\s*(\d)|\{(\d+)\}\s*\{(\d+)\})"), r"(\1\3/\2\4)"),
    (re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"((\1)/(\2))"),
    (re.compile(r"\\text\s*\{[^{}]*\}|\\[()\[\]]|\n"), " ; "),
    (re.compile(r"\\[,!;]|\\left|\\right|\\boxed|[{}*]{2}"), " "),
    (re.compile(r"\b(?:third|half|quarter|fourth|fifth|twice|double|triple)s? (?:of )?[$\d][\d.,]*"), "part"),
    (re.compile(r"\\times|\\cdot|\u00d7|\u00b7|(?<=\d)\s*x\s*(?=\d)"), " * "),
    (re.compile(r"\\div|\u00f7"), " / "),
    (re.compile(r"\\\$"), "$"),
    (re.compile("[\u2212\u2013]"), "-"),
    (re.compile(r"(?<=\d) of (?=[$\d])|(?<=%\)) of (?=[$\d])|(?<=%) of (?=[$\d])"), " * "),
    # Other notations: about equal, subscripts and bases, functions and roots, times of day and ratios, large units.
    (re.compile(r"\\approx|\u2248|\babout\b|\bapproximately\b|\broughly\b"), " ; "),
    (re.compile(r"\w*_\{?\w+\}?|\b(?:[A-Za-z]+|[A-Za-z] )\([^()]*\)|\\[A-Za-z]+\s*[({]?[\d.]+[)}]?"), " ; "),
    (re.compile(r"\b(?:log|ln|sin|cos|tan|sqrt|gcd|lcm)\s*\d+"), " ; "),
    (re.compile(r"\d+:\d+|[\d.,]+ (?:hundred|thousand|million|billion|dozen)\b"), " ; "),
    (re.compile(r"(?<=\d)/[A-Za-z]+"), ""),
    # "4 weeks = 4 * 7 days": another unit behind the sign.
    (re.compile(r"(?:^|[^-+*/=(\d.,$\s])\s*\$?\d[\d.,]*(?:[ -][A-Za-z]+){1,3} ?(?==)"), " ; "),
]
_UNIT = re.compile(
    r"(?<=\d)%?(?:[ -](?!and\b|or\b|so\b|then\b|is\b|if\b|to\b|more\b|plus\b|minus\b|mod\b)[A-Za-z]+){1,3}"
    r"(?= ?[-+*/=)])"
)
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\\?%")
_OPERATION = re.compile(r"\d[ )]* (?:[-+*/]|mod\b)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@lru_cache(maxsize=4096)  # a search looks again and again at the same steps
def states_false(text: str) -> bool:
    """Return whether an equation in a text is surely false."""
    return any(not any(map(holds, readings)) for readings in equations(text))


@lru_cache(maxsize=4096)
def numbers_in(text: str) -> frozenset[str]:
    """Return the numbers of a text, canonical."""
    return read_sentence(plain(text)).numbers


def equations(text: str) -> Iterator[tuple[tuple[str, ...], ...]]:
    """Yield the sides of each equation with an operation in it, as it reads with percents as numbers and as shares."""
    readings = [read_sentence(plain(_PERCENT.sub(percent, text))).equations for percent in (r"\1", r"(\1/100)")]
    for both in zip(*readings, strict=False):
        if any(_OPERATION.search(side) for side in both[0]):
            yield both


def plain(text: str) -> str:
    """Return a text without LaTeX, and without units between a number and an operator."""
    for pattern, simple in _LATEX:
        text = pattern.sub(simple, text)
    return _UNIT.sub("", text)


def holds(sides: tuple[str, ...]) -> bool:
    """Return whether the sides that can be worked out are equal, as far as they are written out."""
    values = [(value, side) for side in sides if (value := fraction(side)) is not None]
    if _NUMBER.fullmatch(sides[0].strip("-() ")) and (len(values) > 2 or "(" in sides[0]):
        values = values[1:]
    return all(close(right, left, text) for (left, _), (right, text) in pairwise(values))


def close(stated: Fraction, exact: Fraction, text: str) -> bool:
    """Return whether a stated value is the exact one, or a rounded value of it as far as ``text`` writes it out."""
    if stated == exact:
        return True
    decimals = max((len(d) for d in re.findall(r"\.(\d+)", text)), default=0)
    rounded = decimals > 0 or (exact.denominator > 1 and stated.denominator == 1)
    return rounded and abs(stated - exact) <= Fraction(1, 10**decimals)


def fraction(text: str) -> Fraction | None:
    """Return the value of an expression without unknowns; None if it is none."""
    try:
        return evaluate(text.replace("$", "").replace(",", "")).constant
    except ExactError:
        return None
