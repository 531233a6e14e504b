r"""Answers that are never compared: too long, too deep, or with a number too big to compute.

A refused answer is ``undetermined``, never ``wrong``. The gates read text only, in linear time, and are the first
line; the second is a process that can be killed.
"""

import re
from itertools import accumulate
from math import prod

MAX_LENGTH = 2000
"""Longest answer compared, in characters."""
MAX_DIGITS = 100
"""Longest run of digits."""
MAX_NESTING = 30
MAX_COMMAS = 200
MAX_CELLS = 100
"""Most matrix cells, counted by ``&`` and line breaks."""
MAX_POWER = 10_000
"""Largest exponent, and largest product of the numbers in one exponent."""
MAX_GROWTH = 100_000
"""Largest exponent that powers of powers may come to (``power_growth``)."""
MAX_FACTORIAL = 1000
"""Largest number before ``!``, in a binomial, and as a bound of a sum or product."""

_DIGITS = re.compile(rf"\d{{{MAX_DIGITS + 1},}}")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ue000-\uf8ff]")
_READ_DIGITS = "0123456789⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉" + "".join(map(chr, range(0xFF10, 0xFF1A)))
_CODE = re.compile(r"__|\b(?:import|eval|exec|lambda|open|system|subprocess|getattr)\b\s*[('\"]")
_RUN = re.compile(r"\d+", re.ASCII)
_PYTHON_POWER = re.compile(r"(?<=[\w)}\]])\s{0,3}\*\*\s{0,3}(?=[\w({\\-])")
_COUNTING = re.compile(
    r"\\[dt]?binom(?![A-Za-z])|\\choose(?![A-Za-z])|\bbinom\b|\\(?:sum|prod|bigcup|bigcap)(?![A-Za-z])"
)
_COUNTING_OR_FACTORIAL = re.compile(_COUNTING.pattern + r"|!(?!=)")
_LITERAL_POWER = re.compile(r"(?<!\d)(\d{1,9})\s{0,3}(?:\^|\*\*)\s{0,3}\{?(\d{1,9})", re.ASCII)
_NO_PRODUCT = re.compile(
    r"(?:(?<![A-Za-z]{2})[A-Za-z]|\\[a-z]{1,10})'(?!(?:s|m|d|t|re|ll|ve)\b|[A-Za-z]{2})|\\prime|\\angle|[A-Z]\s*\^\s*\{?-1|\^\s*\{?(?:T(?![A-Za-z])|\\top)"
    r"|\\frac\s*\{\s*d[^{}]*\}\s*\{\s*d\s*[a-z]"
    r"|\\(?:vec|mathbf|boldsymbol|overrightarrow)\b[^=]*\\(?:times|cdot)(?!\s*\d)"
)
"""Derivatives (no ``Tom's``), angles, matrices and vectors, in which letters do not commute."""
_SYMBOL = re.compile(r"\\?[A-Za-z]+|'")
_INTEGRAL = re.compile(r"\\i{1,3}nt(?![A-Za-z])")
_FACTORIAL = re.compile(r"(\d*)[\s})\]]*(?<!\\)!(?!=)", re.ASCII)
_AFTER_BRACKET = re.compile(r"[)}\]]\s*(?:\^|\*\*)\s*[{(]?\s*(\d*)", re.ASCII)


def refusal(text: str) -> str | None:
    """Return why an answer is not compared at all, or None where it may be."""
    if len(text) > MAX_LENGTH:
        return f"over {MAX_LENGTH} characters"
    if _FORBIDDEN.search(text):
        return "control characters"
    if not text.isascii() and any(c.isdigit() and c not in _READ_DIGITS for c in text):
        return "digits of another script"
    if _DIGITS.search(text):
        return f"over {MAX_DIGITS} digits"
    if text.count(",") > MAX_COMMAS or text.count("&") + text.count("\\\\") > MAX_CELLS:
        return "too many elements"
    if max(accumulate((c in "({[") - (c in ")}]") for c in text), default=0) > MAX_NESTING:
        return f"nested deeper than {MAX_NESTING}"
    if _CODE.search(text):
        return "program code"
    return _too_big(text)


def may_be_equal(reference: str, answer: str) -> bool:
    """Return whether texts that are equal as products of numbers may be called equal.

    Where letters do not commute, they need the same symbols in the same order.
    """
    if not _NO_PRODUCT.search(reference) and not _NO_PRODUCT.search(answer):
        return True
    named = [side.rpartition("=") for side in (reference, answer)]
    same_name = not (named[0][0] and named[1][0]) or named[0][0].split() == named[1][0].split()
    sides = [side[2] for side in named] if same_name else [reference, answer]
    return not any(map(_NO_PRODUCT.search, sides)) or _SYMBOL.findall(sides[0]) == _SYMBOL.findall(sides[1])


def _too_big(text: str) -> str | None:
    if "!" in text and _factorials_too_big(text):
        return "factorial"
    if _COUNTING_OR_FACTORIAL.search(text) and any(len(b) * int(e) > 5 for b, e in _LITERAL_POWER.findall(text)):
        return "factorial, binomial, sum or product of a large power"
    if _COUNTING.search(text) and (max(_numbers(text), default=0) > MAX_FACTORIAL or len(_COUNTING.findall(text)) > 4):
        return "binomial, sum or product over a large range"
    if len(_INTEGRAL.findall(text)) > 2:
        return "integrals"
    powers = _PYTHON_POWER.sub("^", text)
    if "^" in powers:
        return _powers_too_big(powers)
    return None


def _factorials_too_big(text: str) -> bool:
    found = [match[1] for match in _FACTORIAL.finditer(text)]
    nested = [number for number in found if not number] or re.findall(r"!\s*[)}\]]*\s*!", text)
    if len(found) > 1 and nested:
        return True
    return any(number and (len(number) > 4 or int(number) > MAX_FACTORIAL) for number in found) or (
        bool(nested) and max(_numbers(text), default=0) > MAX_FACTORIAL
    )


def _powers_too_big(text: str) -> str | None:
    """Refuse towers of numbers and exponents whose numbers multiply to more than ``MAX_POWER``."""
    for position in (i for i, c in enumerate(text) if c == "^"):
        exponent = _exponent(text, position + 1)
        if exponent.count("^") > 1 or ("^" in exponent and not re.search(r"(?<!\\)\b[a-zA-Z]\b", exponent)):
            return "tower of exponents"
        if prod(max(n, 1) for n in _numbers(exponent)) > MAX_POWER:
            return "large exponent"
    return "power of powers" if power_growth(text) > MAX_GROWTH else None


def power_growth(text: str) -> int:
    """Return a bound on the exponent that nested powers, as ``((9^24)^24)^24``, come to; 1 where none are nested."""
    outer = prod(max(int(n), 1) if 0 < len(n) <= 4 else MAX_POWER if n else 1 for n in _AFTER_BRACKET.findall(text))
    inner = [max(_numbers(_exponent(text, i + 1)), default=1) for i, c in enumerate(text) if c == "^"]
    return outer * max(inner, default=1) if outer > 1 else 1


def _exponent(text: str, start: int) -> str:
    """The base of a power: a bracketed group, or everything up to a blank or an operator."""
    body = text[start:].lstrip()
    if not body.startswith(("{", "(")):
        match = re.match(r"-?\\?[\w.]+(?:\^-?[\w.]+)*", body)
        return match.group() if match else ""
    depth = 0
    for end, character in enumerate(body):
        depth += (character in "({") - (character in ")}")
        if depth == 0:
            chained = re.match(r"\s*\^", body[end + 1 :])
            return body[: end + 1] + ("^" + _exponent(body, end + 1 + chained.end()) if chained else "")
    return body


def _numbers(text: str) -> list[int]:
    return [int(run) for run in _RUN.findall(text)]
