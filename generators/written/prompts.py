"""What a model is asked for, by way; and how its reply is read."""

import re
from collections import Counter
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

Way = Literal["rephrase", "numbers", "backward", "harder", "combine", "persona", "topic"]

_KEEP = "Keep every number, and keep what is asked."
ASKED: dict[Way, str] = {
    "rephrase": f"Say the problem below in other words, in sentences of your own. {_KEEP}",
    "numbers": "Write the problem below again with other numbers. Change nothing else.",
    "backward": (
        "Turn the problem below around. Its answer is {answer}: tell that as a fact of the story. Leave out the number "
        "{hidden}, and ask for that number instead."
    ),
    "harder": "Write a harder version of the problem below: add one more fact, so that it takes one more step.",
    "combine": "Write one problem from both problems below: the answer of the first is needed to solve the second.",
    "persona": f"Tell the problem below as {{persona}} would meet it at work, with other people and things. {_KEEP}",
    "topic": "Write a problem about {topic} that is solved like the one below, with other numbers.",
}
KEEPS_ANSWER: frozenset[Way] = frozenset({"rephrase", "persona"})
PERSONAS = tuple(
    "a baker, a nurse, a carpenter, a bus driver, a gardener, a shopkeeper, an astronomer, a tailor".split(", ")
)
TOPICS = ("a school trip", "a football club", "a train journey", "a farm", "a library", "a kitchen", "a savings plan")
# Small models copy an example, and with one line to fill in they leave its label out.
TEMPLATE = """{task} The new problem must have exactly one answer. Do not solve it, and do not tell its answer.

{seeds}

Reply in this form, with nothing before or after it:
Problem: the new problem
Formula: the arithmetic that gives its answer, in numbers alone, such as 3 * (4 + 5)"""
MAX_QUESTION = 4_000

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_OPENING = re.compile(r"(?:^|\n)\W*(?:[A-Za-z]+ ){0,3}(?:problem|question)[^\w\n]*:\W*?\s*(?=\w|\$|\\)", re.IGNORECASE)
_LABEL = r"(?:\n\W*formula|(?-i:(?<=[?.!] )Formula))[^\w\n]*:"
_FURTHER = re.compile(rf"{_LABEL}|\n\W*(?:solution|answer|explanation|note)\b[^\w\n]*:", re.IGNORECASE)
_FORMULA = re.compile(rf"{_LABEL}\s*([^\n=]*)", re.IGNORECASE)
_COMMANDS = "calculate|compute|count|determine|evaluate|express|find|give|list|simplify|solve|work out"
_ASKS = re.compile(rf"[?\uff1f]|\b(?:how|what|which|{_COMMANDS})\b", re.IGNORECASE)
_COPY = 0.9
"""Share of the words in order from which on a question with a seed's numbers is its copy."""


class Reply(NamedTuple):
    """A problem as the model wrote it, and the formula where one was asked for."""

    question: str
    formula: str | None


def read_reply(text: str) -> Reply | None:
    """Parse a model's reply; None if it does not follow the format."""
    text = text[: 2 * MAX_QUESTION]
    opening = _OPENING.search(text)
    if opening is None:
        return None
    written = text[opening.end() :]
    question = _FURTHER.split(written)[0].strip(" *`\n")
    formula = _FORMULA.search(written)
    return Reply(question, formula[1].strip(" .`*") if formula else None) if len(question) <= MAX_QUESTION else None


def asks(question: str) -> bool:
    return _ASKS.search(question) is not None


def numbers_in(text: str) -> Counter[str]:
    return Counter(number.rstrip(".,").replace(",", "") for number in _NUMBER.findall(text))


def copies(question: str, other: str) -> bool:
    """Whether two questions differ in a few words, in case, blanks and punctuation, and not in numbers."""
    one, two = (re.findall(r"\w+", text.casefold()) for text in (question, other))
    alike = SequenceMatcher(None, one, two, autojunk=False).ratio() >= _COPY
    return alike and numbers_in(question) == numbers_in(other)
