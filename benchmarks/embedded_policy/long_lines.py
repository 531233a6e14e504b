"""The lines of one solution in long wording: each step a paragraph of 20 to 80 tokens."""

import re
from random import Random

from benchmarks.embedded_policy.free_lines import ABANDONED, Mark, Writer, back_of
from benchmarks.embedded_policy.step_sentences import Part
from stepforge.generators.draft import Draft
from stepforge.schemas.problem import Quantity

SHORTEST, LONGEST = 20, 80
"""Tokens of a paragraph; a token is a word, a digit or a sign, as in the embedded policy's vocabulary."""
TURN, RECALL, WHY = 0.5, 0.5, 0.6
"""For a step, the chance that it says what comes, that it recalls a value that it uses, and that it gives a reason."""
CHECK, RESTATED, UNIT, ASIDE = 0.3, 0.25, 0.2, 0.2
"""The chance that such a sentence follows the value."""
_TOKEN = re.compile(r"\d|[A-Za-z]+|[^\sA-Za-z\d\x00-\x1f]")


def tokens_of(text: str) -> int:
    """Return how many tokens a line has, its line break included."""
    return len(_TOKEN.findall(text)) + 1


class LongWriter(Writer):
    """Writes paragraphs: sentences before and after the one with the value, from the same grammar."""

    taken_back = "taken_back"

    def __init__(self, draft: Draft, rng: Random, part: Part) -> None:
        super().__init__(draft, rng, part)
        self._stated: dict[str, Quantity] = {}

    def _step(self, quantity: Quantity, mark: Mark) -> None:
        if self._chance(ABANDONED):
            self._add("abandoned", self._draw("dropped"))
        stated, marked = self._main(quantity, mark)
        before = [] if mark == "repair" else self._before(quantity)
        after = self._after(quantity, mark)
        while tokens_of(" ".join((*before, stated, *after))) > LONGEST and (before or after):
            longer = max(before, after, key=lambda sentences: sum(map(tokens_of, sentences)))
            longer.pop(self._rng.randrange(len(longer)))
        self._add(marked, " ".join((*before, stated, *after)), right=mark not in ("slip", "carried"))
        self._stated[quantity.name] = quantity

    def _before(self, quantity: Quantity) -> list[str]:
        sentence = self._sentences.of(quantity.name)
        what = self._what(sentence) if "who" in sentence.slots else self._draw("the_next").lower()
        sentences = [self._draw("turn", what=what)] if self._chance(TURN) else []
        reasons = [self._draw(f"why_{sentence.rule}", **self._slots(quantity))] if self._chance(WHY) else []
        return [*sentences, *self._shuffled([*self._recalled(quantity), *reasons])]

    def _recalled(self, quantity: Quantity) -> list[str]:
        """Recall values that the step builds on, where they have a name."""
        needed = self._sentences.needs(quantity.name) if self._sentences.needs else tuple(self._stated)[-1:]
        used = [self._stated[name] for name in needed if name in self._stated]
        named = [(self._sentences.of(q.name), q.value) for q in used if q.value in quantity.expression.split()]
        return [
            self._draw("recall", what=self._what(sentence), value=self._say(value))
            for sentence, value in named
            if "who" in sentence.slots and self._chance(RECALL)
        ]

    def _after(self, quantity: Quantity, mark: Mark) -> list[str]:
        slots = self._sentences.of(quantity.name).slots
        sentences = [self._draw("unit", **slots)] if "item" in slots and self._chance(UNIT) else []
        if mark != "slip" and back_of(quantity) and self._chance(CHECK):
            sentences.append(self._checked(quantity))
        if self._chance(RESTATED):
            sentences.append(self._restated(quantity))
        if self._chance(ASIDE):
            sentences.append(self._draw("aside"))
        return self._shuffled(sentences)

    def _shuffled(self, sentences: list[str]) -> list[str]:
        return self._rng.sample(sentences, len(sentences))

    def _add(self, mark: Mark, text: str, *, right: bool = True) -> None:
        """Add a line, with remarks after it (the answer's before it) until it is a paragraph."""
        while tokens_of(text) < SHORTEST:
            aside = self._draw("aside")
            text = f"{aside} {text}" if mark == "answer" else f"{text} {aside}"
        super()._add(mark, text, right=right)
