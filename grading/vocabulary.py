"""Word lists, and what tells a word from mathematics."""

import re

_NAMELIKE = re.compile(
    r"^[A-Z][a-z]{2,}$|(?<![\\A-Za-z{_])(?!(?:sin|cos|tan|log|ln|pi|sqrt)\b)[A-Za-z]{2,}\s+[A-Za-z]{2,}"
)
_VOWEL = re.compile(r"[aeiouyAEIOUY]")


def words(listed: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(listed.split())


def is_word(text: str) -> bool:
    """Tell ``silent`` from a product of letters."""
    bare = text.strip()
    return _NAMELIKE.search(bare) is not None or (
        len(bare) >= 4 and bare.isalpha() and bare.isascii() and _VOWEL.search(bare) is not None
    )
