"""Where sentences end: not at abbreviations, decimals, list numbers or references such as "no. 5"."""

import re
from collections.abc import Iterator

_WIDE_STOPS = "\u3002\uff01\uff1f\uff61"
"""Full stops of Chinese and Japanese: no space follows them."""
_CLOSERS = "\"'\u201d\u2019\u300d\u300f\u300b\u3011\uff09)\\]*"
# Look-behinds let a search start only where a run starts: "....." costs its length, not its square.
_END = re.compile(
    rf"(?<![.!?\u0964\u061f\u06d4])[.!?\u0964\u061f\u06d4]++[{_CLOSERS}]*+(?P<gap>\s++)(?=(?P<next>\S))"
    rf"|(?<![{_WIDE_STOPS}])[{_WIDE_STOPS}]++[{_CLOSERS}]*+(?P<none>\s*+)(?=\S)"
)
_LAST_WORD = re.compile(r"(?:[A-Za-z]\.)*[A-Za-z]+\Z")
_LINE_NUMBER = re.compile(r"(?:\A|\n)[ \t]*(?:[0-9]{1,4}|[A-Za-z])\Z")
_NUMBER = re.compile(r"(?:\A|\s)([0-9]{1,3})\Z")
_ABBREVIATIONS = frozenset(
    ("e.g", "i.e", "etc", "vs", "cf", "resp", "approx", "ca", "fig", "figs", "eq", "eqs", "thm", "vol", "mr", "mrs")
).union(("ms", "dr", "prof", "st", "jr", "sr"))
_BEFORE_NUMBERS = frozenset(
    ("no", "nos", "nr", "p", "pp", "sec", "ch", "art", "ex", "prob", "def", "prop", "cor", "lem", "ln", "pt", "col")
)
"""Abbreviations only where a number follows."""
_LOOK_BACK = 24
"""Characters read back from a full stop for an abbreviation or a list number."""
_STARTS = frozenset("\"'\u201c\u2018([$\\*#-\u2013\u2022")
"""What a sentence may start with, besides a digit and a letter that is not small."""


def gap_cut(text: str, start: int, end: int) -> int:
    """Return where to cut a gap of white space: after its last line break, or before the gap."""
    return text.rfind("\n", start, end) + 1 or start


def sentence_ends(text: str) -> Iterator[int]:
    numbered = 0  # the last number that stood before a list item
    for match in _END.finditer(text):
        if match["gap"] is None:
            yield gap_cut(text, *match.span("none"))
            continue
        following, stop = match["next"], match.start()
        if not (following.isdigit() or following in _STARTS or (following.isalpha() and not following.islower())):
            continue
        if text[stop : stop + 2].strip() == ".":
            back = text[max(0, stop - _LOOK_BACK) : stop]
            if stop > _LOOK_BACK:
                back = " " + back  # the window's edge is not the start of a line
            number = _NUMBER.search(back)
            if number and int(number[1]) == numbered + 1 and (numbered or _LINE_NUMBER.search(back)):
                numbered += 1
                continue
            if _LINE_NUMBER.search(back) or _abbreviated(back, following):
                continue
        yield gap_cut(text, *match.span("gap"))


def _abbreviated(back: str, following: str) -> bool:
    if (word := _LAST_WORD.search(back)) is None:
        return False
    name = word[0].lower()
    return name in _ABBREVIATIONS or (name in _BEFORE_NUMBERS and following.isdigit())
