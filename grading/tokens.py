r"""Cutting a formula into tokens: ``\frac``, ``12``, ``0.\overline{3}``, ``sin``, ``x``."""

import re

from stepforge.grading.vocabulary import words

MAX_TOKENS = 800

_TOKEN = re.compile(
    r"(?P<blank>\s+)|(?P<repeating>\d*\.\d*(?:\\(?:overline|bar|dot)\s*\{\d+\}|(?<=\.)\(\d+\)))"
    r"|(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<word>\\[A-Za-z]+|[A-Za-z])|(?P<sign>\*\*|[-+*/^_!()\[\]{}|])",
    re.ASCII,
)
FUNCTIONS = words("sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln exp lg abs max min gcd lcm")
_PLAIN = sorted({*FUNCTIONS, "sqrt", "pi", "theta", "alpha", "beta", "infty"}, key=len, reverse=True)
_OPERATORS = {"cdot": "*", "times": "*", "ast": "*", "div": "/", "**": "^", "cdotp": "*", "log10": "lg"}
_WORDS = words("and or for the is if per mod none not all no to of in by at it as be so any")
_LETTERS = re.compile(r"(?<![\\A-Za-z])[A-Za-z]+")


class Unreadable(ValueError):
    """The text is not a formula of this grammar."""


def tokens_of(text: str) -> list[str]:
    found: list[str] = []
    position, spaced = 0, False
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or len(found) > MAX_TOKENS:
            raise Unreadable(text[position : position + 10])
        kind, token = match.lastgroup, match.group()
        if kind == "number" and spaced and found and found[-1][-1].isdigit():
            raise Unreadable("two numbers side by side")
        if kind == "word" and token.isalpha():
            token = _plain_word(text, position)
        spaced = kind == "blank"
        if kind != "blank":
            name = token.removeprefix("\\") if kind == "word" else token
            found.append(_OPERATORS.get(name, name))
        position = position + len(token) if kind == "word" else match.end()
    return found


def _plain_word(text: str, start: int) -> str:
    """Return the function or constant that a run of letters spells; else its first letter."""
    if (run := _LETTERS.match(text, start)) is None:
        return text[start]
    if (word := run[0]) in _PLAIN:
        return word
    opening = next((w for w in _PLAIN if word.startswith(w) and len(w) > 2), None)
    if opening is not None and len(word) <= len(opening) + 1:  # "sinx"
        return opening
    if len(word) > 4 or word.lower() in _WORDS:
        raise Unreadable("words")
    return text[start]
