"""The language of questions and solutions, by py3langid (Lui and Baldwin 2012), which knows 97 of them."""

import re
from functools import cache
from typing import Any, Literal

from pydantic import Field

from stepforge.filters.dropped import Corpus, Dropped
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem

LEAST_LETTERS = 40
"""Fewest letters in words for detecting a language: `x = 3` has none."""
_FORMULA = re.compile(r"\$[^$]*\$|\\\[.*?\\\]|\\\(.*?\\\)|\\[a-zA-Z]+|[^\W\d_]*[\d_=+*/^<>{}][^\s]*", re.DOTALL)


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # an extra, and a model to load

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


class Language(Record):
    """Keep problems with the question and enough solutions in one of these languages."""

    kind: Literal["language"] = "language"
    languages: tuple[str, ...] = Field(default=("en",), min_length=1)
    """Two-letter codes."""
    sureness: float = Field(default=0.95, gt=0, le=1)
    """Least total probability of other languages at which a text counts as being in none of these."""
    min_solutions: int = Field(default=1, ge=0)
    """Fewest solutions that are not in another language; 0 checks only the question."""

    def __call__(self, row: SolvedProblem, corpus: Corpus) -> SolvedProblem | Dropped:
        """Drop what is surely in another language; formulas and short texts are in none."""
        if self._other(row.problem.question):
            return Dropped(reason="question in another language")
        if sum(not self._other(rollout.text) for rollout in row.rollouts) < self.min_solutions:
            return Dropped(reason="solutions in another language")
        return row

    def _other(self, text: str) -> bool:
        words = " ".join(_FORMULA.sub(" ", text).split())
        if sum(map(str.isalpha, words)) < LEAST_LETTERS and words.isascii():
            return False
        likeliest, share = _identifier().classify(words)
        if likeliest in self.languages and share > 1 - self.sureness:
            return False
        wanted = sum(share for code, share in _identifier().rank(words) if code in self.languages)
        return bool(wanted <= 1 - self.sureness)
