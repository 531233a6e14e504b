"""Word lists, and what tells a word from mathematics."""

import re

_NAMELIKE = re.compile(
    r"^[A-Z][a-z]{2,}$|(?<![\\A-Za-z{_])(?!(?:sin|cos|tan|log|ln|pi|sqrt)\b)[A-Za-z]{2,}\s+[A-Za-z]{2,}"
)
YES_OR_NO = re.compile(r"(yes|no|true|false)[,;:.]\s[^=\n]+", re.IGNORECASE)
"""``Yes, it is``."""
_VOWEL = re.compile(r"[aeiouyAEIOUY]")


def words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_SHORT_WORDS = words(
    "yes red odd all day mon tue wed thu fri sat sun one two six ten box cat dog man boy mom dad car cow hen pig dne"
)
"""Words of three letters that answer a question; others may be products."""
_ALIKE = (
    words("true yes correct"),
    words("false no incorrect"),
    words("undefined dne does not exist none impossible"),
    words("none null nil"),
)


def may_say_the_same(one: set[str], other: set[str]) -> bool:
    """Tell ``yes`` beside ``true`` from two answers; both in lower case."""
    return any(one <= same and other <= same for same in _ALIKE)


def shortened(one: str, other: str) -> bool:
    """Tell ``Tues`` beside ``Tuesday``, and ``cat`` beside ``cats``, from two names; not ``THT`` beside ``THTT``."""
    short, long = sorted((one.rstrip("."), other), key=len)
    return len(short) > 2 and ((short.istitle() and long.startswith(short)) or long == short + "s")


def is_word(text: str) -> bool:
    """Tell ``silent`` from a product of letters."""
    bare = text.strip()
    return (_NAMELIKE.search(bare) is not None or bare.casefold() in _SHORT_WORDS) or (
        len(bare) >= 4 and bare.isalpha() and bare.isascii() and _VOWEL.search(bare) is not None
    )
