"""The lines of one solution in free wording."""

from collections.abc import Callable
from random import Random
from typing import Literal, NamedTuple

from benchmarks.embedded_policy.slips import Piece, wrong_value
from benchmarks.embedded_policy.step_sentences import Part, solution_grammar, step_sentences
from stepforge.generators.draft import Draft, Sentence
from stepforge.grading.exact import Exact, ExactError, evaluate
from stepforge.grading.number_words import TENS, UNITS
from stepforge.schemas.problem import Quantity

Mark = Literal["step", "slip", "carried", "repair", "corrected", "remark", "check", "restated", "abandoned", "answer"]
"""What a line is; ``carried`` builds on a slip, ``corrected`` takes back a wrong value within the line."""

IN_WORDS = 0.06
"""Share of solutions whose arithmetic is in words."""
REMARK = 0.25
"""Share of solutions that open with a remark."""
ABANDONED, CORRECTED, CHECK, RESTATED = 0.04, 0.04, 0.07, 0.05
"""For a step, the chance that such a line stands before it, that it is one, or that such a line follows it."""
SPOKEN = {"+": "plus", "-": "minus", "*": "times", "/": "divided by", "mod": "modulo"}
LARGEST = 99
"""Largest number written in words."""
INVERSE = {"+": "-", "-": "+", "*": "/", "/": "*"}
_OPEN, _CLOSE = "\x01", "\x02"
"""Frame a value that carries no training loss."""


class Line(NamedTuple):
    """A line of a solution, with its line break unless it is the last."""

    mark: Mark
    pieces: tuple[Piece, ...]
    """The text; pieces that are not to be learned are wrong values."""
    right: bool = True
    """False where it states what is not true."""

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)


class Writer:
    """Writes the steps of one solution, in one style of numbers."""

    taken_back = "slip_of_pen"
    """The rule of a value that is corrected at once."""

    def __init__(self, draft: Draft, rng: Random, part: Part) -> None:
        self._sentences, self._rng, self._part = step_sentences(draft), rng, part
        self._spoken = rng.random() < IN_WORDS
        self._lines: list[Line] = []

    def write(self, steps: list[tuple[Quantity, Mark]], answer: str, *, right: bool = True) -> list[Line]:
        if self._chance(REMARK):
            self._add("remark", self._draw("remark"))
        for quantity, mark in steps:
            self._step(quantity, mark)
        self._add("answer", self._draw("final", answer=answer), right=right)
        *lines, last = self._lines
        return [*lines, last._replace(pieces=(*last.pieces[:-1], Piece(last.pieces[-1].text.rstrip("\n"))))]

    def _step(self, quantity: Quantity, mark: Mark) -> None:
        if self._chance(ABANDONED):
            self._add("abandoned", self._draw("dropped"))
        text, marked = self._main(quantity, mark)
        self._add(marked, text, right=mark not in ("slip", "carried"))
        if mark in ("slip", "carried"):
            return
        if back_of(quantity) and self._chance(CHECK):
            self._add("check", self._checked(quantity))
        if self._chance(RESTATED):
            self._add("restated", self._restated(quantity))

    def _main(self, quantity: Quantity, mark: Mark) -> tuple[str, Mark]:
        """Return the sentence with a step's value, and what it is in the end."""
        text = self._sentence(quantity, mark)
        if mark == "repair":
            text = f"{self._draw('repair')} {text}"
        return text, "corrected" if _OPEN in text and mark == "step" else mark

    def _sentence(self, quantity: Quantity, mark: Mark) -> str:
        """Return a step's text: its tail has no full stop of its own where a value is last."""
        slots = self._slots(quantity)
        value = slots["value"]
        if mark == "slip":
            slots = slots | {"value": f"{_OPEN}{value}{_CLOSE}"}
        text = self._draw(self._sentences.of(quantity.name).rule, **slots)
        if mark == "step" and text.endswith(value) and self._chance(CORRECTED):
            wrong = self._say(str(wrong_value(self._rng, _exact(quantity.value))))
            taken_back = self._draw(self.taken_back, wrong=f"{_OPEN}{wrong}{_CLOSE}", value=value)
            text = text.removesuffix(value) + taken_back
        return text + self._draw("tail")

    def _slots(self, quantity: Quantity) -> dict[str, str]:
        named = self._sentences.of(quantity.name).slots
        slots = {**_operands(quantity.expression, self._say), **named, "value": self._say(quantity.value)}
        if self._spoken and named.get("n", "").isdecimal():
            slots["n"] = self._say(named["n"])
        return slots

    def _checked(self, quantity: Quantity) -> str:
        about = self._sentences.of(quantity.name).slots.get("who", "")
        return self._draw("check", back=self._say(back_of(quantity) or ""), about=about and f" for {about}")

    def _restated(self, quantity: Quantity) -> str:
        what = self._what(self._sentences.of(quantity.name))
        return self._draw("restate", what=what, value=self._say(quantity.value))

    def _what(self, sentence: Sentence) -> str:
        who = sentence.slots.get("who")
        if who is None:
            return self._draw("what_value").lower()
        return who if who.startswith("term") else f"the number of {who}"

    def _say(self, text: str) -> str:
        return in_words(text) if self._spoken else text

    def _draw(self, rule: str, **slots: str) -> str:
        return solution_grammar(self._part).draw(self._rng, rule, slots)

    def _chance(self, share: float) -> bool:
        return self._rng.random() < share

    def _add(self, mark: Mark, text: str, *, right: bool = True) -> None:
        self._lines.append(Line(mark, tuple(_pieces(f"{text}\n")), right))


def _pieces(text: str) -> list[Piece]:
    """Cut a text at the frames; the space before a framed value belongs to it (see ``slips``)."""
    pieces: list[Piece] = []
    for i, part in enumerate(text.replace(f" {_OPEN}", f"{_OPEN} ").replace(_CLOSE, _OPEN).split(_OPEN)):
        if part:
            pieces.append(Piece(part, learn=i % 2 == 0))
    return pieces


def _operands(expression: str, say: Callable[[str], str]) -> dict[str, str]:
    names = zip("abc", map(say, expression.split()[::2]), strict=False)
    return {"a": "", "b": "", "c": "", **dict(names), "expr": say(expression)}


def back_of(quantity: Quantity) -> str | None:
    """Return the inverse of a sum or product of two numbers, which leads back to the first one."""
    parts = quantity.expression.split()
    if len(parts) != 3 or parts[1] not in INVERSE or evaluate(parts[2]) == evaluate("0"):
        return None
    return f"{quantity.value} {INVERSE[parts[1]]} {parts[2]} = {parts[0]}"


def _exact(text: str) -> Exact:
    try:
        value = evaluate(text).constant
    except ExactError as error:
        raise ValueError(f"{text!r} is no exact value") from error
    if value is None:
        return evaluate(text)
    return int(value) if value.denominator == 1 else value


def in_words(text: str) -> str:
    """Return an expression in words; as it is where a number is not a whole one from 0 to ``LARGEST``."""
    spoken = [SPOKEN.get(token) or _number(token) for token in text.split()]
    return text if None in spoken else " ".join(word for word in spoken if word)


def _number(token: str) -> str | None:
    if not token.isdecimal() or int(token) > LARGEST:
        return None
    tens, unit = divmod(int(token), 10)
    if tens < 2:
        return UNITS[int(token)]
    return TENS[tens - 2] + (f"-{UNITS[unit]}" if unit else "")
