"""What the steps of any text state that can be checked: false equations, what they should come to, and numbers.

Read strictly: where a text may mean something else, an equation says nothing. A decimal need only be a rounded value of
the other side, and so need a whole number that stands for a fraction; ``25%`` is 25 or 0.25, whichever fits; a bare
number at the front (``5 pairs = 5 * 2 = 10 shoes``) and what is only about equal are left out.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

from stepforge.grading.exact import ExactError, evaluate
from stepforge.grading.sentences import EQUAL, UNKNOWN, about_x, read_sentence, stretches
from stepforge.grading.units import ratio, read_unit
from stepforge.grading.vocabulary import words

_UNKNOWN = f" {UNKNOWN} "
_REWRITES: list[tuple[frozenset[str], re.Pattern[str], str]] = [
    (frozenset(needed.split(" ")), re.compile(pattern), simple)
    for needed, pattern, simple in (
        (".", r"(?<![\w.])\.(?=\d)", "0."),
        ("\\", r"\^\{(\w+)\}", r"^\1"),
        # Mixed numbers, and a fraction as the divisor: "3 1/2 / 1/2".
        ("/", r"(?<![\w.,/^)])(\d+) (?:and )?(\d+/\d+)(?![\d/])", r"(\1+\2)"),
        ("\\", r"(?<![\w.,/^)])(\d+)\s*\\[dt]?frac\s*(?:(\d)\s*(\d)|\{(\d+)\}\s*\{(\d+)\})", r"(\1+\2\4/\3\5)"),
        ("/", r"(?<=/ )(\d+/\d+)(?![\d/])", r"(\1)"),
        ("\\", r"\\[dt]?frac\s*(?:(\d)\s*(\d)|\{(\d+)\}\s*\{(\d+)\})", r"(\1\3/\2\4)"),
        ("\\", r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"((\1)/(\2))"),
        ("\n", r"\\text\s*\{[^{}]*\}|\\[()\[\]]|\n", " ; "),
        ("\\", r"\\(?:(?:[lg]eq?|neq?|[lg]t|equiv|mid|to|iff|implies|therefore|q?quad)\b|\w*arrow\b)", " ; "),
        ("{ } *", r"\\[,!;]|\\left|\\right|\\boxed|[{}*]{2}", " "),
        ("h q w b p", r"\b(?:third|half|quarter|fourth|fifth|twice|double|triple)s? (?:of )?[$\d][\d.,]*", "part"),
        ("x", r"\\times|\\cdot|\u00d7|\u00b7|(?<=\d)\s*x\s*(?=\d)", " * "),
        ("\\", r"\\div|\u00f7", " / "),
        ("\\", r"\\\$", "$"),
        ("\u2212", "[\u2212\u2013]", "-"),
        ("of", r"(?<=\d) of (?=[$\d])|(?<=/100\)) of (?=[$\d])|(?<=%\)) of (?=[$\d])|(?<=%) of (?=[$\d])", " * "),
        # Other notations: about equal, subscripts and bases, functions and roots, times of day and ratios, large units.
        ("about approximately roughly", r"\\approx|\u2248|\babout\b|\bapproximately\b|\broughly\b", " ; "),
        ("_ (", r"\w*_\{?\w+\}?|\b(?:[A-Za-z]+|[A-Za-z] )\([^()]*\)", _UNKNOWN),
        ("\\", r"\\[A-Za-z]+(?:\s*[({]?[\d.]+[)}]?)?|\u221a\s*\(?\d+\)?|\u2026", _UNKNOWN),
        (".", r"\. ?\. ?\.", _UNKNOWN),
        ("log ln sin cos tan sqrt gcd lcm", r"\b(?:log|ln|sin|cos|tan|sqrt|gcd|lcm)\d*\s*\d+", _UNKNOWN),
        ("squared cubed", r"(?<=[\d)]) (?:squared|cubed)", _UNKNOWN),
        ("out choose", r"(?<!\d)\d+ (?:out of|choose) \d+", _UNKNOWN),
        ("remainder inverse digit digits root", r"\b(?:remainder|inverse|digits?|root) of (?=[$(\d])", _UNKNOWN),
        ("e", r"(?<![\d.])\d[\d.]*[eE][-+]?\d+", _UNKNOWN),
        (":", r"\d+:\d+", " ; "),
        ("am pm clock", r"(?<!\d)\d+ ?(?:[ap]\.?m\b|o'clock)", " ; "),
        ("mod modulo", r"=\s*\d+ \(?mod(?:ulo)? \d++\)?+(?! ?(?:=|is\b))", " ; "),
        ("hundred thousand million billion dozen", r"[\d.,]+ (?:hundred|thousand|million|billion|dozen)\b", " ; "),
        ("/", r"(?<=\d)/[A-Za-z]+", ""),
        # "4 weeks = 4 * 7 days": another unit after the sign.
        ("=", r"(?:^|[^-+*/=(\d.,$\s])\s*\$?\d[\d.,]*(?:[ -][A-Za-z]+){1,3} ?(?==)", " ; "),
    )
]
"""Patterns in their order, each with what an ASCII text without a backslash must have (words, characters) to match."""
_UNIT = re.compile(
    r"(?<=\d)%?(?:[ -](?!(?:and|or|so|then|is|if|to|more|plus|minus|mod|[A-Zabcdefijknopqrtuvwxyz])\b)[A-Za-z]+){1,3}"
    r"(?= ?[-+*/=)])"
)
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\\?%")
_OFF = re.compile(r"(?<![\d.)%] )(?<![\d.,])(\$?\d[\d.,]*) ?([-+]) ?(\d+(?:\.\d+)?)\\?%(?! ?(?:of\b|[*/x\u00d7\\]))")
_UNSAID = re.compile(
    r"\?|contradict|impossible|\b(?:false|incorrect|wrong|invalid|suppose|assume)\b"
    r"|(?:\bnot|n't) (?:true|equal|possible|valid|correct|right|hold|satisf|match|work|divis|an?\b|the\b)",
    re.IGNORECASE,
)
"""What a sentence says that states the opposite of its equation, or nothing."""
_SENTENCES = re.compile(r"(?<=[.!?;])\s+|\n")
_TWO_UNITS = re.compile(r"(?<![\d.,])(\$?)\d[\d.,]* ?([A-Za-z]*) ?[-+] ?(\$?)\d[\d.,]* ?([A-Za-z]*)")
_STARTS = re.compile(r"[ $(]*(\d+(?:\.\d+)?) [-+*/]")
_OPERATION = re.compile(r"\d[ )]* (?:[-+*/]|mod\b)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_TERM = re.compile(r"\d+(?:\.\d+)?(?:/\d+)?")
_WORD = re.compile(r"[a-z]+")
_EQUAL = EQUAL | {"="}
_OPERATORS = words(
    "- + * / \u00d7 \u00b7 \u00f7 \u2212 \u2013 \\ x of plus minus times multiplied divided mod modulo leaves"
)
"""A text that states what an operation gives has one of ``_EQUAL`` and one of these."""


@lru_cache(maxsize=4096)  # a search looks again and again at the same steps
def states_false(text: str) -> bool:
    return any(not any(map(holds, readings)) for readings in equations(text))


@lru_cache(maxsize=4096)
def numbers_in(text: str) -> frozenset[str]:
    return read_sentence(plain(text)).numbers


def equations(text: str) -> Iterator[tuple[tuple[str, ...], ...]]:
    """Yield the sides of each equation with an operation in it, as percents are read as numbers and as shares."""
    seen = _seen(text)
    if seen.isdisjoint(_EQUAL) or seen.isdisjoint(_OPERATORS):
        return
    if _UNSAID.search(text):
        text = "\n".join(part for part in _SENTENCES.split(text) if not _UNSAID.search(part))
    text = _TWO_UNITS.sub(_in_two_units, text)
    texts = [text]
    if "%" in text:  # as a number, as a share, and as a share of what stands before it: $80 - 25%
        texts = [_PERCENT.sub(percent, text) for percent in (r"\1", r"(\1/100)")]
        texts.append(_PERCENT.sub(r"(\1/100)", _OFF.sub(r"\1 * (1 \2 \3/100)", text)))
    readings = [[s for s in stretches(plain(text)) if len(s) > 1 and not about_x(s)] for text in texts]
    for both in zip(*readings, strict=False):
        if any(_OPERATION.search(side) for side in both[0]):
            yield both


def recalculated(texts: Iterable[str], answer: str) -> str | None:
    """Return the answer that a solution comes to if each calculation is done right and later ones build on it.

    None if the answer is the result of none, or one comes to 0 where the solution does not, or the reverse: then the
    next step might be another.
    """
    right: dict[Fraction | None, Fraction] = {}
    for sides in (sides for text in texts for sides in _calculations(text)):
        told, expression = fraction(sides[-1]), next(filter(_OPERATION.search, reversed(sides[:-1])))
        exact = fraction(_corrected(expression, right))
        if told is None or exact is None or (exact == 0) != (told == 0):
            return None
        if exact == fraction(expression) and holds(sides):  # as it stands, perhaps rounded
            exact = told
        right[abs(told)] = exact if told > 0 else -exact
    value = fraction(answer)
    if value is None or abs(value) not in right:
        return None
    return str(right[abs(value)] if value > 0 else -right[abs(value)])


def _in_two_units(match: re.Match[str]) -> str:
    """Leave out the sum of ``1 hour + 30 minutes``, whatever it is said to be."""
    units = [read_unit(f" {'dollar' if dollar else word}") for dollar, word in (match.groups()[:2], match.groups()[2:])]
    size = ratio(units[0], units[1]) if units[0] and units[1] else None
    return match[0] if size in (None, 1) else f" {UNKNOWN} "


def _corrected(expression: str, right: Mapping[Fraction | None, Fraction]) -> str:
    """Put the right value in an operand's place, once for each: in ``3 * 3 mod 17`` the other 3 is the problem's."""
    left = dict(right)

    def term(match: re.Match[str]) -> str:
        value = fraction(match[0])
        return f"({left.pop(value)})" if value in left else match[0]

    return _TERM.sub(term, expression)


@lru_cache(maxsize=4096)
def _calculations(text: str) -> list[tuple[str, ...]]:
    """Return the sides of each equation that gives an expression's value; ``x = 42 / 7 = 6`` does, too."""
    found = [tuple(s for s in sides if s != "x") for sides in stretches(plain(_PERCENT.sub(r"(\1/100)", text)))]
    numbers = [sides for sides in found if sides and not any("x" in side for side in sides)]
    return [s for s in numbers if any(map(_OPERATION.search, s[:-1])) and _TERM.fullmatch(s[-1].strip("-() "))]


def plain(text: str) -> str:
    """Return a text without LaTeX, and without units between a number and an operator."""
    seen = _seen(text)
    anything = "\\" in seen or not text.isascii()
    for needed, pattern, simple in _REWRITES:
        if anything or not needed.isdisjoint(seen):
            text = pattern.sub(simple, text)
    return _UNIT.sub("", text)


def _seen(text: str) -> frozenset[str]:
    return frozenset(text).union(_WORD.findall(text.lower()))


def holds(sides: tuple[str, ...]) -> bool:
    """Return whether the sides that can be worked out are equal, as far as they are written out."""
    values = [(value, side) for side in sides if (value := fraction(side)) is not None]
    if _NUMBER.fullmatch(sides[0].strip("-() ")) and (len(values) > 2 or "(" in sides[0]):
        values = values[1:]
    return all(_follows(*left, *right) for left, right in pairwise(values))


def _follows(before: Fraction, left: str, value: Fraction, right: str) -> bool:
    """Return whether one side may follow the other: equal, in another unit, or ``7 * 2`` after ``3 + 4``, as a
    calculator goes on."""
    on, bare = _STARTS.match(right), [_NUMBER.fullmatch(side.strip("-() ")) for side in (left, right)]
    return close(value, before, right) or all(bare) or (on is not None and not bare[0] and Fraction(on[1]) == before)


def close(stated: Fraction, exact: Fraction, text: str) -> bool:
    """Return whether a stated value is the exact one, or a rounded value of it as far as ``text`` writes it out."""
    if stated == exact:
        return True
    decimals = max((len(d) for d in re.findall(r"\.(\d+)", text)), default=0)
    rounded = decimals > 0 or (exact.denominator > 1 and stated.denominator == 1)
    return rounded and abs(stated - exact) <= Fraction(1, 10 ** min(decimals, 12))


@lru_cache(maxsize=65536)
def fraction(text: str) -> Fraction | None:
    """Return the value of an expression without unknowns; None if the text is no such expression."""
    try:
        return evaluate(text.replace("$", "").replace(",", "")).constant
    except ExactError:
        return None
