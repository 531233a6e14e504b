"""What a model is asked for, by way; and how its reply is read."""

import re
from collections import Counter
from typing import Literal, NamedTuple

Way = Literal["rephrase", "numbers", "backward", "harder", "combine", "persona", "topic"]

_KEEP = "Keep every number, every name of a unit and what is asked exactly as they are."
_FORMULA = (
    'Then add one last line "Formula: " with the arithmetic that gives the answer, in numbers alone, such as '
    "Formula: 3 * (4 + 5)."
)
ASKED: dict[Way, str] = {
    "rephrase": f"Say the problem below in other words. {_KEEP}",
    "numbers": f"Write the problem below again with other numbers. Change nothing else. {_FORMULA}",
    "backward": (
        "Turn the problem below around: tell its answer, which is {answer}, as a fact of the story, hide the number "
        "{hidden}, and ask for that number instead."
    ),
    "harder": f"Write a harder version of the problem below, with one more step of reasoning. {_FORMULA}",
    "combine": f"Write one problem that needs both problems below to be solved, one after the other. {_FORMULA}",
    "persona": f"Rewrite the problem below as {{persona}} would meet it at work. {_KEEP}",
    "topic": f"Write a new problem about {{topic}} that is solved like the one below, with other numbers. {_FORMULA}",
}
KEEPS_ANSWER: frozenset[Way] = frozenset({"rephrase", "persona"})
PERSONAS = tuple(
    "a baker, a nurse, a carpenter, a bus driver, a gardener, a shopkeeper, an astronomer, a tailor".split(", ")
)
TOPICS = ("a school trip", "a football club", "a train journey", "a farm", "a library", "a kitchen", "a savings plan")
TEMPLATE = """{task} The problem must have exactly one answer, and must not tell it or how to get it.

{seeds}

Reply in this form, with nothing before or after it:
Problem: the new problem"""
MAX_QUESTION = 4_000

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_REPLY = re.compile(
    r"(?:^|\n)\W*Problem\W*:\W*?\s*(.*?)\s*(?:\n\W*Formula\W*:\s*(.*?)\s*)?$", re.DOTALL | re.IGNORECASE
)


class Reply(NamedTuple):
    """A problem as the model wrote it, and the formula where one was asked for."""

    question: str
    formula: str | None


def read_reply(text: str) -> Reply | None:
    """Return what a model wrote; None where it did not keep to the form."""
    found = _REPLY.search(text.strip())
    if found is None or not 0 < len(found[1]) <= MAX_QUESTION:
        return None
    formula = found[2].partition("=")[0].strip(" $.`*") if found[2] else None
    return Reply(found[1].strip(" *`"), formula)


def numbers_in(text: str) -> Counter[str]:
    return Counter(number.rstrip(".,").replace(",", "") for number in _NUMBER.findall(text))


def same_words(one: str, other: str) -> bool:
    """Whether two questions differ in nothing but case, blanks and punctuation."""
    return re.findall(r"\w+", one.casefold()) == re.findall(r"\w+", other.casefold())
