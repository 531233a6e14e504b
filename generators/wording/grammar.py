"""A grammar of texts: named rules with many forms each, drawn at random.

A grammar file holds ``[rule]`` lines, each followed by the rule's forms, one per line. In a form, ``<rule>`` is
replaced by a form of that rule, ``(a|b|)`` for one of the alternatives (never nested), and ``{slot}`` for a value that
the caller gives.
"""

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from random import Random
from typing import Literal

from stepforge.schemas.record import Record

_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)|<(\w+)>")
_SLOT = re.compile(r"\{(\w+)\}")
_START = re.compile(r"(^|[.!?:] )([a-z])(?=[a-z])|(^|[.!?:] )(a)(?= )")
_PRONOUN = re.compile(r"\bi\b")
_SPACES = re.compile(r" +(?=[ .,;]|$)|^ +")


class Grammar(Record):
    """Rule name to forms."""

    rules: dict[str, tuple[str, ...]]

    def draw(self, rng: Random, rule: str, slots: dict[str, str] | None = None) -> str:
        """Return one text of a rule, its first letters capitalized."""
        text = f"<{rule}>"
        while (choice := _CHOICE.search(text)) is not None:
            inline, name = choice.groups()
            forms = inline.split("|") if inline is not None else self.rules[name]
            text = text[: choice.start()] + rng.choice(forms) + text[choice.end() :]
        filled = _SLOT.sub(lambda slot: (slots or {})[slot[1]], text)
        spaced = _PRONOUN.sub("I", _SPACES.sub("", filled))
        return _START.sub(lambda start: start[0].upper(), spaced)


def read_grammar(*texts: str) -> Grammar:
    """Return the grammar that the texts of grammar files define together; lines that start with # are comments.

    Raises:
        ValueError: a rule is defined twice, is used and not defined, or has no form.
    """
    rules: dict[str, list[str]] = {}
    for line in (line.strip() for text in texts for line in text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            if line[1:-1] in rules:
                raise ValueError(f"rule {line[1:-1]} is defined twice")
            rules[line[1:-1]] = []
        elif line and not line.startswith("#"):
            list(rules.values())[-1].append(line)
    used = {name for forms in rules.values() for form in forms for name in re.findall(r"<(\w+)>", form)}
    wrong = sorted((used - rules.keys()) | {name for name, forms in rules.items() if not forms})
    if wrong:
        raise ValueError(f"rule {wrong[0]} has no form")
    return Grammar(rules={name: tuple(forms) for name, forms in rules.items()})


@cache
def grammar(name: Literal["plain", "questions"]) -> Grammar:
    return read_grammar((files("stepforge.generators.wording") / f"{name}.txt").read_text())


def plain_form(rule: str) -> str:
    return grammar("plain").rules[rule][0]


def plain_text(told: Iterable[tuple[str, dict[str, str]]]) -> str:
    """Return sentences, each a rule and what fills its slots, in their plain form."""
    return " ".join(plain_form(rule).format(**slots) for rule, slots in told)
