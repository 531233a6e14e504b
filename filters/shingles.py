"""Texts as sets of neighboring words, to find near-copies."""

import re

from stepforge.filters.held_out import masked, tokens_of

NEIGHBORS = 3
_PIECE = re.compile(r"\w+|[^\w\s]")


def shingles(tokens: list[str]) -> frozenset[str]:
    """Return every run of three tokens; a shorter text is one shingle."""
    runs = max(1, len(tokens) - NEIGHBORS + 1)
    return frozenset(" ".join(tokens[i : i + NEIGHBORS]) for i in range(runs))


def text_shingles(text: str) -> frozenset[str]:
    return shingles(_PIECE.findall(text.casefold()))


def question_shingles(question: str, *, numbers: bool) -> tuple[frozenset[str], str]:
    """Return a question's shingles without its numbers, and the numbers (empty if they do not count)."""
    tokens = tokens_of(question)
    told = " ".join(sorted(token for token in tokens if token[0].isdigit())) if numbers else ""
    return shingles(masked(tokens).split()), told


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one or other else 1.0
