"""Held-out questions, indexed to recognize copies: verbatim, renumbered, in part, or reworded.

The index is as large as the held-out sets; a question is compared in time that does not grow with the corpus.
"""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

from stepforge.grading.number_words import VALUES

Way = Literal["verbatim", "shared passage", "renumbered", "reworded"]
WAYS: tuple[Way, ...] = ("verbatim", "shared passage", "renumbered", "reworded")

PASSAGE = 13
"""Tokens of a shared passage (GPT-3, arXiv 2005.14165, appendix C)."""
LEAST_WORDS = 8
"""Fewest words in a passage that tells one question from another."""
LEAST_MASKED = 5
"""The same for a question without its numbers, in words and signs."""
BOILERPLATE = 3
"""Number of held-out questions sharing a passage at which it counts as an instruction, not a question."""
SAME_NUMBERS = 0.6
"""Share of the numbers that a rewording keeps."""
_CANDIDATES = 4
"""Held-out questions that are compared in full."""
_STEM = 5
"""Letters compared per word: this drops inflections and little else."""

_TOKEN = re.compile(r"\\[a-z]+|\d[\d,]*(?:\.\d+)?|[^\W\d_]+|[-+*/^=<>|%()\[\]_]")
_LAYOUT = frozenset(("\\left", "\\right", "\\text", "\\mbox", "\\mathrm", "\\displaystyle", "\\dfrac", "\\tfrac"))


def tokens_of(question: str) -> list[str]:
    """Return words, numbers and operators in lower case; number words are numbers, layout and punctuation are gone."""
    found = _TOKEN.findall(unicodedata.normalize("NFKC", question).casefold())
    return [
        _number(token) if token[0].isdigit() else str(VALUES.get(token, token))
        for token in found
        if token not in _LAYOUT
    ]


def _number(token: str) -> str:
    whole, point, decimals = token.replace(",", "").partition(".")
    decimals = decimals.rstrip("0")
    return f"{whole}.{decimals}" if point and decimals else whole


def masked(tokens: Sequence[str]) -> str:
    """Return a text without its numbers, and without the plural that comes with some of them."""
    return " ".join("#" if token[0].isdigit() else token.removesuffix("s") for token in tokens)


def _words(tokens: Iterable[str]) -> int:
    return sum(token[0].isalpha() for token in tokens)


def _numbers(tokens: Iterable[str]) -> Counter[str]:
    return Counter(token for token in tokens if token[0].isdigit())


def _passages(tokens: Sequence[str]) -> set[str]:
    plain = [token for token in tokens if token[0].isalnum()]
    windows = (plain[i : i + PASSAGE] for i in range(len(plain) - PASSAGE + 1))
    return {" ".join(window) for window in windows if _words(window) >= LEAST_WORDS}


def _terms(tokens: Iterable[str]) -> Counter[str]:
    return Counter(token[:_STEM] if token[0].isalpha() else token for token in tokens if not token[0].isdigit())


class HeldOutIndex:
    """Questions of one or more held-out sets."""

    def __init__(
        self, sets: Iterable[tuple[str, Iterable[str]]], ways: Sequence[Way] = WAYS, alike: float = 0.4
    ) -> None:
        """``sets``: a name and the questions of each; ``alike``: least cosine of two questions that say the same."""
        self._ways, self._alike = ways, alike
        self._exact: dict[str, str] = {}
        self._masked: dict[str, str] = {}
        self._names: list[str] = []
        self._numbers: list[Counter[str]] = []
        passages: dict[str, list[int]] = defaultdict(list)
        counted: list[Counter[str]] = []
        for name, questions in sets:
            for question in questions:
                tokens = tokens_of(question)
                self._exact.setdefault(" ".join(tokens), name)
                if len(tokens) - _numbers(tokens).total() >= LEAST_MASKED:
                    self._masked.setdefault(masked(tokens), name)
                if "shared passage" in ways:
                    for passage in _passages(tokens):
                        passages[passage].append(len(self._names))
                counted.append(_terms(tokens))
                self._numbers.append(_numbers(tokens))
                self._names.append(name)
        self._passages = {p: self._names[where[0]] for p, where in passages.items() if len(where) < BOILERPLATE}
        self._index_terms(counted if "reworded" in ways else [])

    def __len__(self) -> int:
        return len(self._names)

    def find(self, question: str) -> str | None:
        """Return how and where a question is held out, as ``verbatim in gsm8k``, by the most reliable way."""
        tokens = tokens_of(question)
        found = ((way, self._found(way, tokens)) for way in WAYS if way in self._ways)
        return next((f"{way} in {name}" for way, name in found if name is not None), None)

    def _found(self, way: Way, tokens: list[str]) -> str | None:
        if way == "verbatim":
            return self._exact.get(" ".join(tokens))
        if way == "renumbered":
            return self._masked.get(masked(tokens))
        if way == "shared passage":
            return next((self._passages[p] for p in _passages(tokens) if p in self._passages), None)
        number, cosine = self.nearest(tokens)
        return self._names[number] if cosine >= self._alike and self._same_numbers(number, tokens) else None

    def _same_numbers(self, number: int, tokens: Sequence[str]) -> bool:
        """Whether most numbers of two questions are the same: a rewording keeps them."""
        mine, held_out = _numbers(tokens), self._numbers[number]
        return (mine & held_out).total() >= SAME_NUMBERS * (mine | held_out).total()

    def _index_terms(self, counted: list[Counter[str]]) -> None:
        frequency = Counter(term for terms in counted for term in terms)
        total = len(counted)
        self._weights = {term: math.log(1 + total / count) for term, count in frequency.items()}
        self._unknown = math.log(1 + 2 * total)
        self._vectors = [self._unit(terms) for terms in counted]
        self._postings: dict[str, list[int]] = defaultdict(list)
        for number, vector in enumerate(self._vectors):
            for term in vector:
                if frequency[term] <= max(2, total // 20):
                    self._postings[term].append(number)

    def _unit(self, terms: Counter[str]) -> dict[str, float]:
        """Return a unit vector of terms, rare ones weighing more."""
        vector = {term: self._weights.get(term, self._unknown) * math.sqrt(n) for term, n in terms.items()}
        norm = math.sqrt(sum(value * value for value in vector.values()))
        return {term: value / norm for term, value in vector.items()}

    def nearest(self, tokens: Sequence[str]) -> tuple[int, float]:
        """Return the number of the held-out question that is most alike, and their cosine; -1 and 0 if none."""
        vector = self._unit(_terms(tokens)) if self._vectors else {}
        shared: dict[int, float] = defaultdict(float)
        for term, value in vector.items():
            for number in self._postings.get(term, ()):
                shared[number] += value * self._vectors[number][term]
        best = sorted(shared, key=shared.__getitem__)[-_CANDIDATES:]
        alike = [sum(value * self._vectors[n].get(term, 0.0) for term, value in vector.items()) for n in best]
        return max(zip(best, alike, strict=True), key=lambda one: (one[1], -one[0]), default=(-1, 0.0))
