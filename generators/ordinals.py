"""Sentences that an ordinal word opens as a step: ``First, ... Second, ... Finally, ...``."""

import re

_NUMBERS = (
    "first first_of_all firstly erstens zuerst premièrement d'abord primero primeiro во-первых 首先 第一",
    "second secondly zweitens deuxièmement segundo во-вторых 其次 第二",
    "third thirdly drittens troisièmement tercero terceiro в-третьих 再次 第三",
    "fourth fourthly viertens quatrièmement cuarto quarto в-четвёртых в-четвертых 第四",
    "fifth fifthly fünftens cinquièmement quinto в-пятых 第五",
    "sixth sixthly 第六",
    "seventh seventhly 第七",
    "eighth eighthly 第八",
)
_ORDINALS = {word.replace("_", " "): n for n, words in enumerate(_NUMBERS) for word in words.split()}
_FURTHER = (
    "next then after_that finally lastly dann danach schließlich ensuite puis enfin luego después finalmente depois "
    "затем наконец 然后 接着 最后 最後"
)
_DOING = (
    "we let let's i you note find add compute calculate multiply divide subtract solve use consider determine "
    "simplify factor convert write set substitute apply"
)


def _any(words: str) -> str:
    return "|".join(re.escape(word.replace("_", " ")) for word in sorted(words.split(), key=len, reverse=True))


_OPENS = re.compile(
    r"(?:^[ \t]{0,16}(?:[-*+>•#]{1,6}[ \t]{1,4})?[*_]{0,3}"
    r"|(?<=[.!?:])[ \t]{1,4}|(?<=[.!?][)\"”*$])[ \t]{1,4}|(?<=[。！？])[ \t\u3000]{0,4})"
    rf"(?:(?P<number>(?=[A-ZА-Я第首其再]){'(?i:' + _any(' '.join(_NUMBERS)) + ')'})"
    rf"(?:[*_]{{0,3}}[ \t]?[,:，：、]|[ \t](?:{_any(_DOING)})\b)"
    rf"|(?=[A-ZА-Я然接最])(?i:{_any(_FURTHER)})(?:[*_]{{0,3}}[,:，：]|[ \t](?=[a-zа-я$\\])|(?<=[后着後])))",
    re.M,
)
"""At the start of a line or a sentence, with a capital where letters have one. ``First term`` opens nothing."""


def ordinal_starts(text: str) -> list[int]:
    """Return where the sentences opened by such words begin; nothing without two ordinals of different number."""
    opened = list(_OPENS.finditer(text))
    numbers = {_ORDINALS[match["number"].lower()] for match in opened if match["number"]}
    return [match.start() for match in opened] if len(numbers) > 1 else []
