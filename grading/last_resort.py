"""The answer of a text that frames none: the text itself, or the last value of its closing sentences."""

import re
from collections.abc import Iterator

from stepforge.grading.dates import DATE
from stepforge.grading.frames import bare
from stepforge.grading.number_words import CARDINAL
from stepforge.grading.vocabulary import YES_OR_NO

TAIL = 1500
"""How much of a text's end the last resort reads, in characters."""
LONGEST_WHOLE = 300
"""Longest text taken as an answer as it stands, in characters."""

_UNIT = (
    r"(?:(?:kilo|centi|milli)?met(?:er|re)s?|[kcm]?m|inch(?:es)?|feet|foot|ft|yards?|miles?|(?:kilo|milli)?grams?|[km]?g"
    r"|ounces?|oz|pounds?|lbs?|(?:milli)?lit(?:er|re)s?|m?L|(?:second|minute|min|hour|hr|day|week|month|year)s?|h)"
    r"(?:/(?:s|second|min|minute|h|hr|hour|day))?(?:\^\{?[23]\}?|[\u00b2\u00b3])?(?![A-Za-z/^])"
)
"""Units that convert into others: without its unit the number may be another quantity."""
_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.\\^])(?<!\^\{)(?<!_\{)(?<!\bnot )(?<!not be )(?<!n't be )(?<!\bnot [-\u2212])"
    r"(?:(?:negative|minus|(?:loss|debt|deficit) of) )?"
    r"[-\u2212]?(?:\\?\$|[€£¥])?[-\u2212]?"
    r"(?:(?<=[$€£¥])\d{1,3}(?: \d{3})+(?!\d)|\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    r"(?:\s\d+\s?/\s?\d+(?![\d/])|\s?/\s?\d+(?![\d/])|\sand (?:a|one) (?:half|third|quarter)\b"
    r"|(?::\d+(?:\.\d+)?)+(?:\s?[AaPp]\.?[Mm]\b)?|\s[AaPp]\.?[Mm]\b)?(?:\s?\\?%|\s(?:cents?|percent|dozen|hundred|thousand|million|billion|trillion"
    r"|degrees below zero|below zero|below)\b"
    rf"|\s?(?P<unit>{_UNIT})(?:,?\s(?:and\s)?\d[\d.,]*\s?(?!(?P=unit)){_UNIT})*)?",
    re.ASCII,
)
_MATH = re.compile(
    r"\\\((.{1,400}?)\\\)|\\\[(.{1,400}?)\\\]|(?<!\\)\$((?:\\.|[^$\\\n]){1,400})\$"
    r"|(?<![-+\u2212*/^({_]\s)(?<![-+\u2212*/^({_}A-Za-z0-9])"  # no part of a longer formula
    r"([-\u2212]?\d*\\(?:[dt]?frac\s?\{[^{}]{1,60}\}\s?\{[^{}]{1,60}\}|sqrt(?:\[\d+\])?\s?\{[^{}]{1,60}\}))"
    r"(?![A-Za-z0-9(^_{]|\s*(?:[-+\u2212*/]|\\(?!text|mathrm|mbox|approx)[A-Za-z]))",
    re.DOTALL,
)
_BOLD = re.compile(r"\*\*([^*\n]{1,200})\*\*")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_NOT_WHOLE = re.compile(r"\n|####|\\f?boxed?(?![A-Za-z])|:$|</?[a-z]+[\s>/]")
_LONE_WORD = re.compile(r"(?:^|\s)[A-Za-z]{2,}(?=[\s.,:;!?]|$)")
_ONE = r"\d[\d,.]*(?:\s?°[CF]?)?(?: ?[A-Za-z]+){1,3}"
_QUANTITY = re.compile(rf"[-\u2212]?\\?[$€£¥]?{_ONE}(?: (?:and )?{_ONE})*\.?|\d+:\d\d(?: ?[AaPp]\.?[Mm]\.?)?", re.ASCII)
_AND_OR = re.compile(r"(?<=[\w)\]}])\s*,?\s(?:and|or)\s(?=[-\u2212+\w(\[{\\])")
_OPTION = re.compile(r"(?:(?:option|choice|answer)\s*)?\(?[A-H]\)?(?:[.):][ \t]+[^.\n]{1,80})?\.?", re.IGNORECASE)
"""``Option A``, ``B. 12 apples``."""
_WORDED_SET = re.compile(r"(?:no (?:real )?solutions?|all real numbers|the empty set)\.?", re.IGNORECASE)
_RATIO = re.compile(r"\d+(?:\.\d+)?(?: to \d+(?:\.\d+)?)+\.?", re.ASCII)
_ASIDE = re.compile(r"(?<=[\w.%])\s*\((?=[^()]*[A-Za-z]{2})([^()]*)\)(?=\s*[.!]?$)")
_PART = re.compile(r"\b(?:half|hal[fv]es|third|quarter|fourth|fifth|sixth|eighth|tenth|dozen|past|percent|point)s?\b")
_BETWEEN = re.compile(r"(?<=[A-Za-z]) and (?=\d)")
_NOT_UNIT = re.compile(r"\b(?:and|or|is|are|in(?!\.?$)|of|for|to|so|the|from|left)\b")
_OTHER_SCRIPT = re.compile(r"[\u0400-\u04ff\u0600-\u06ff\u0900-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_GOES_ON = re.compile(r",\s|;|\b(?:so|is|are|was|were|has|have|had|means|gives)\b")
PROSE_IN_MATH = re.compile(r"(?<![\\A-Za-z{ ])\s[A-Za-z]{2,}|\d\s+[A-Za-z]{2,}")
_NO_PROSE = re.compile(r"\\(?:text[a-z]*|mbox|mathrm|begin|end|operatorname)\s*\{[^{}]*\}")
_ROUNDED = re.compile(
    r"(?:=|\b(?:is|are|be)\b)\s*([-\u2212]?\$?\d[\d.,/]*%?)\s*(?:\u2248|,?\s+or\s+(?:about|approximately|roughly)\b)"
)
"""An exact value, before what it is rounded to."""
_RUN = re.compile(
    r"(?:[-+\u2212*/^=<>\u2264\u2265\u00b1\u00d7\u00b7\u221a\u03c0()\[\],\u00b2\u00b3]|\d+(?:\.\d+)?"
    r"|(?<![A-Za-z'\u2019])(?!w/)(?:[b-zB-HJ-Z]|sqrt|pi|sin|cos|tan|log|ln)(?![A-Za-z]|-[A-Za-z]{2})|\.\d| )+"
)
"""Mathematics in plain text: numbers, single letters, and signs; no ``t-shirts``."""
_TIMES = re.compile(r"(?<=\d) ?x ?(?=\d)")
_FORMULA = re.compile(
    r"[A-Za-z] ?[-+\u2212*/^=<>\u2264\u2265\u00b2\u00b3]|[-+\u2212*/^=<>\u2264\u2265] ?[A-Za-z]"
    r"|\d[b-z]\b|[\u221a\u03c0]"
    r"|^\([^()]*\d, ?-?\d[^()]*\)$"
)
_CONDITION = re.compile(r",?\s+(?:(?:at|for|where)\s+[a-z]\s*=\s*[^\s=]+|when [^.,]{1,40} is divided by \S+)$")
_GIVEN = re.compile(
    r"(?:\b(?:is|are|was|were|equals)\b|=)\s*[-\u2212$(\[\\\d\u221a\u03c0][^=A-Z]*$|\bof [-\u2212]?\d[\d.,/]*$"
)
"""What a sentence says that gives a value: ``The minimum is 9`` and not ``The minimum is reached``."""
_IN_BRACKETS = re.compile(r"\w\s\([^()A-Za-z]*\)$")
"""``x + 4 (22)``."""
_ABOUT = re.compile(r"\u2248|[,(]?\s*\b(?:about|approximately|roughly)\b")
_NAMED_VALUES = re.compile(r"[A-Za-z]\s*=[^=(]*,[^=(]*[A-Za-z]\s*=")
"""``a = 2, b = 3``."""
_ASKS_EQUATION = re.compile(r"\b(?:equation|line|circle|parabola|ellipse|hyperbola|plane|curve)\b")
_VALUE = r"-?\d+(?:\.\d+)?(?:/\d+)?"
OR_RATHER = " \u2025 "
"""Between the values that a sentence may give, the likeliest last."""
_STATES = re.compile(
    r"[=:\u2248]|\b(?:is|are|was|were|be|equals?|gives?|makes?|leaves?|so|totals?|we|she|he|it|they|you)\b",
    re.IGNORECASE,
)
_BESIDE = re.compile(r"\b(?:when|while|whereas|with|than|not)\b")
"""What says that a value follows, and that it is not the answer; without either, it may be of the one before it."""
_SHARE = re.compile(r"\s(?:out of|in|in every|of|of the|of every)(?: the)?\s")
_PLAIN = re.compile(_VALUE + r"(?: [A-Za-z](?:\^?[23])?)?", re.ASCII)
"""A number, or one with a unit of one letter."""
_LISTED = re.compile(
    rf"\b(?:are|were)\s+({_VALUE}(?:,\s{_VALUE})*,?\s(?:and|or)\s{_VALUE})\.?$"
    r"|\bratio\b[^.]*?\b(?:is|of)\s+(\d+ to \d+)\.?$",
    re.ASCII,
)
_REASON = re.compile(r"\s(?:since|because|given that)\s.*", re.DOTALL)
_EXPRESSION = re.compile(r"\s*\$?\d[\d.,]*\s*[-+*/x\u00d7]\s*\$?\d")
_SENTENCES = re.compile(r"(?<=[.!?])(?<!\bi\.e\.)(?<!\be\.g\.)\s+|\n+|(?<=[。！？])")


def whole_answer(text: str) -> str | None:
    """Return a text that is nothing but an answer: one line of mathematics, one quantity, or one word."""
    whole = text.strip()
    if len(whole) > LONGEST_WHOLE or _NOT_WHOLE.search(whole):
        return None
    if any(pattern.fullmatch(whole) for pattern in (_OPTION, _WORDED_SET, _RATIO, DATE, YES_OR_NO)):
        return bare(whole)
    if _QUANTITY.fullmatch(whole) and not _NOT_UNIT.search(_BETWEEN.sub(" ", whole)):
        return bare(whole)
    if " " in whole and _LONE_WORD.search(_AND_OR.sub(" , ", _NO_PROSE.sub(" ", whole))):
        return None
    if _OTHER_SCRIPT.search(whole) and (len(whole) > 12 or " " in whole or any(c.isdigit() for c in whole)):
        return None
    left, _, right = bare(whole).rpartition("=")
    return right.strip() if not re.search("[A-Za-z]", _COMMAND.sub("", left)) else bare(whole)


def last_value(text: str) -> str | None:
    """Return the last number or formula of the last sentence that has one; of a text without any, the last in words."""
    for sentence in reversed(_SENTENCES.split(text.rstrip()[-TAIL:])):
        sentence = sentence.rstrip(". ")
        unconditional = _CONDITION.sub("", sentence)
        sentence = unconditional if _GIVEN.search(unconditional) else sentence
        told = _REASON.sub("", sentence)
        sentence = told if values_of(told) else sentence
        exact = _ABOUT.split(sentence)[0]
        formula, rounded_to = _plain_formula(exact), values_of(sentence[len(exact) :])
        if formula is None and exact != sentence and (found := values_of(exact)) and "\\" in found[-1]:
            formula = found[-1]
        if formula is not None:
            return f"{formula} \\approx {rounded_to[-1]}" if rounded_to else formula
        if (listed := _LISTED.search(sentence)) is not None:
            return listed[1] or listed[2]
        for rounded in _ROUNDED.finditer(sentence):
            if len(values_of(sentence[rounded.end() :])) == 1:
                return rounded[1].rstrip(",.")
        aside = _ASIDE.search(sentence)
        if aside and (before := values_of(sentence[: aside.start()])):  # the same once more, or how it came about
            return f"{before[-1]}, {aside[1]}" if _QUANTITY.fullmatch(aside[1]) else before[-1]
        bold = [b for b in _BOLD.findall(sentence) if any(c.isdigit() for c in b)]
        values = _after_equals(sentence) or values_of(bold[-1] if bold else sentence)
        if values:
            return _candidates(sentence, values)
    named = [word[0] for word in CARDINAL.finditer(text[-TAIL:]) if word[0].lower() != "one"]
    return named[-1] if named and not _PART.search(text[-TAIL:]) else None


def _candidates(sentence: str, values: list[str]) -> str:
    """Return the last value; after the others, where it may be how long or of what: ``$225 on cleaning in 5 weeks``."""
    end = sentence.rfind(values[-1])
    start = sentence.rfind(values[-2], 0, max(end, 0)) if len(values) > 1 else -1
    between = sentence[start + len(values[-2]) : end] if start >= 0 else ""
    if start < 0 or (_STATES.search(between) and not _BESIDE.search(between)):
        return values[-1]
    counts = values[-2].isdecimal() and values[-1].isdecimal()
    share = [f"{values[-2]}/{values[-1]}"] if counts and _SHARE.fullmatch(between) else []
    return OR_RATHER.join([*values[-6:-1], *share, values[-1]])


def _plain_formula(sentence: str) -> str | None:
    """Return the last formula of a sentence without LaTeX, ``2x + 1`` or ``(2, 3)``: no number in it is the answer."""
    if "\\" in sentence or "$" in sentence:
        return None
    found = (run.strip(" ,.").lstrip("= ") for run in _RUN.findall(sentence))
    run = next((run for run in reversed([*found]) if any(map(str.isdigit, run))), "")
    run = run.partition("=")[2].strip() if run[:1] in "+^*/" else run  # it began with a word
    unclosed = sum(map(run.count, "([")) != sum(map(run.count, ")]"))
    if unclosed or _IN_BRACKETS.search(run) or _FORMULA.search(_TIMES.sub("*", run)) is None:
        return None
    left, equals, _ = run.partition("=")
    if equals and not _PLAIN.fullmatch(left.strip()) and _ASKS_EQUATION.search(sentence):
        return run
    return None if any(_PLAIN.fullmatch(side.strip()) for side in run.split("=")) else run


def _after_equals(sentence: str) -> list[str]:
    """Return the result of an equation in plain text: ``60 * 2 = 120 in 2 weeks`` gives 120, not 2."""
    formulas = [span.end() for span, content in _spans(sentence) if "=" in content.rstrip("= ")]
    before, equals, after = sentence.rpartition("=")
    if not equals or not before or "\\" in sentence or _GOES_ON.search(sentence[formulas[-1] :] if formulas else after):
        return []
    if formulas:
        return values_of(sentence[: formulas[-1]])[-1:]
    return values_of(before)[-1:] if _EXPRESSION.match(after) else values_of(after)[:1]


def _spans(sentence: str) -> Iterator[tuple[re.Match[str], str]]:
    """Yield each formula with its place."""
    for span in _MATH.finditer(sentence):
        content = next(group for group in span.groups() if group is not None)
        if span.group(3) is None or not PROSE_IN_MATH.search(content):  # "$5 and $6" is money
            yield span, content


def values_of(sentence: str) -> list[str]:
    """Return the numbers and formulas of a sentence, in their order; of a formula, what its last ``=`` gives."""
    found: list[tuple[int, str]] = []
    rest, asked = sentence, _ASKS_EQUATION.search(sentence)
    for span, content in _spans(sentence):
        rest = rest[: span.start()] + " " * (span.end() - span.start()) + rest[span.end() :]
        left, _, right = content.rpartition("=")
        equation = asked is not None and re.search("[A-Za-z]", left) is not None
        value = bare(content if _NAMED_VALUES.search(content) or equation else right)
        if equation and "equation" not in sentence and _PLAIN.fullmatch(bare(right)):  # or what something comes to
            value = OR_RATHER.join((value, bare(right)))
        if any(c.isdigit() for c in value) or "\\" in value:
            found.append((span.start(), value))
    for date in DATE.finditer(rest):
        rest = rest[: date.start()] + " " * len(date[0]) + rest[date.end() :]
        found.append((date.start(), date[0]))
    found += [(match.start(), match.group().strip()) for match in _NUMBER.finditer(rest)]
    return [value for _, value in sorted(found)]
