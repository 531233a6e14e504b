r"""Finding the final answer in a solution's text, in linear time.

Four frames are known, tried in this order: ``\boxed{...}`` (MATH), ``#### ...`` (GSM8K), ``Answer: ...``, and
``the answer is ...``. The last occurrence of the first frame found counts. A text without a frame still states an
answer where its closing sentences name a number or a formula; ``stated_answer`` leaves that last resort out.
"""

import re
from collections.abc import Callable

MAX_ANSWER = 2000
"""Longest answer returned, in characters; a longer one is cut just past it, and no grader accepts it."""
TAIL = 1500
"""How much of a text's end the last resort reads, in characters."""
LONGEST_WHOLE = 300
"""Longest text taken as an answer as it stands, in characters."""

_BOX = re.compile(r"\\f?boxed?(?![A-Za-z])\s*(?:(\{)|([^\s{}\\$]|\\[A-Za-z]+))")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_HASHES = re.compile(r"^[ \t]*####(?!#)[ \t]*([^\n]*)", re.MULTILINE)
_VALUE_LINE = re.compile(r"[-+\u2212]?\\?[$€£]?[-+\u2212]?[.\d][\d,./]*(?:\s?\\?%)?(?: [A-Za-z]+){0,2}\.?")
# "\banswer" in any case, written so that the search skips to the next "a" instead of looking at every character.
_ANSWER = r"[Aa](?<!\w[Aa])(?i:nswer)"
_ANSWER_COLON = re.compile(_ANSWER + r"[*_]{0,3}[ \t]{0,3}[:=][*_]{0,3}")
_ANSWER_IS = re.compile(
    _ANSWER + r"\b[^\n.:=$\\]{0,60}?\b(?i:is|are|would be|should be|will be)\b[*_]{0,3}[ \t]{0,3}:?[*_]{0,3}"
)
_SENTENCE_END = re.compile(r"[.!?](?=\s)|\n")
_NUMBER = re.compile(
    r"(?<![\w.\\])[-\u2212]?(?:\\?\$|[€£¥])?[-\u2212]?"
    r"(?:(?<=[$€£¥])\d{1,3}(?: \d{3})+(?!\d)|\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    r"(?:\s?/\s?\d+(?![\d/]))?(?:\s?\\?%)?",
    re.ASCII,
)
_MATH = re.compile(r"\\\((.{1,400}?)\\\)|\\\[(.{1,400}?)\\\]|(?<!\\)\$((?:\\.|[^$\\\n]){1,400})\$", re.DOTALL)
_BOLD = re.compile(r"\*\*([^*\n]{1,200})\*\*")
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_NOT_WHOLE = re.compile(r"\n|####|\\f?boxed?(?![A-Za-z])|:$")
_LONE_WORD = re.compile(r"(?:^|\s)[A-Za-z]{2,}(?=[\s.,:;!?]|$)")
_GOES_ON = re.compile(r",\s|;|\b(?:so|is|are|was|were|has|have|had|means|gives)\b")
_PROSE_IN_MATH = re.compile(r"(?<![\\A-Za-z{ ])\s[A-Za-z]{2,}|\d\s+[A-Za-z]{2,}")
_NO_PROSE = re.compile(r"\\(?:text[a-z]*|mbox|mathrm|begin|end|operatorname)\s*\{[^{}]*\}")
_STARTS_WITH_VALUE = re.compile(r"[-+\u2212(\[{\\$€£¥.\d]")


def extract_answer(text: str) -> str | None:
    """Return the final answer as written, without its frame; None where the text names none at all.

    Without a frame, a text that is one formula or one word is the answer itself; of any other, the last number or
    formula of the last sentence that has one is returned.
    """
    return stated_answer(text) or _cut(_whole(text) or _last_resort(text))


def stated_answer(text: str) -> str | None:
    """Return the final answer in one of the four frames, as written; None where the text has no frame."""
    finders: tuple[Callable[[str], str | None], ...] = (_boxed, _after_hashes, _answer_colon, _answer_is)
    for find in finders:
        found = _cut(find(text))
        if found:
            return found
    return None


def _cut(found: str | None) -> str | None:
    return found[: MAX_ANSWER + 1] if found else None


def _boxed(text: str) -> str | None:
    box = None
    start = max(text.rfind("\\boxed"), text.rfind("\\fbox"))
    box = _BOX.match(text, start) if start >= 0 else None
    if box is None:
        return None
    if box.group(1) is None:  # \boxed 5
        return box.group(2)
    depth = 1
    for brace in _BRACE.finditer(text, box.end()):
        depth += {"{": 1, "}": -1}.get(brace.group(), 0)
        if depth == 0:
            return _bare(text[box.end() : brace.start()])
    return None


def _after_hashes(text: str) -> str | None:
    """Return the last ``####`` line that is a value, or the text's last line: elsewhere it is a Markdown heading."""
    if "####" not in text:
        return None
    lines = [match for match in _HASHES.finditer(text) if match.group(1).strip()]
    if not lines:
        return None
    last = lines[-1]
    if not text[last.end() :].strip():
        return _reduced(_bare(last.group(1)))
    return next((_bare(m.group(1)) for m in reversed(lines) if _VALUE_LINE.fullmatch(m.group(1).strip())), None)


def _answer_colon(text: str) -> str | None:
    return _framed(_ANSWER_COLON, text)


def _answer_is(text: str) -> str | None:
    return _framed(_ANSWER_IS, text)


def _framed(frame: re.Pattern[str], text: str) -> str | None:
    """Return what follows the last frame that is followed by a value; else what follows the last one."""
    words: str | None = None
    for end in reversed([match.end() for match in frame.finditer(text)][-50:]):
        found = _reduced(_bare(_first_sentence(text[end : end + MAX_ANSWER * 2])))
        if found and (any(c.isdigit() for c in found) or "\\" in found):
            return found
        words = words or found
    return words


def _first_sentence(after: str) -> str:
    body = after.lstrip()
    end = _SENTENCE_END.search(body)
    return body[: end.start()] if end else body


def _bare(text: str) -> str:
    """Strip what frames a whole answer: blanks, bold, the final full stop, one pair of math signs."""
    bare = text.strip().strip("*").strip()
    bare = bare if bare.endswith("\\right.") else bare.rstrip(".").strip()
    for opening, closing in (("$$", "$$"), ("\\(", "\\)"), ("\\[", "\\]"), ("$", "$")):
        inner = bare[len(opening) : -len(closing)]
        if (
            len(bare) > len(opening) + len(closing)
            and bare.startswith(opening)
            and bare.endswith(closing)
            and opening not in inner.replace("\\$", "")
            and not inner.endswith("\\")
        ):
            return inner.strip()
    return bare


def _reduced(found: str) -> str:
    """Reduce a sentence to the one value it names; anything else stays as it is."""
    if _STARTS_WITH_VALUE.match(found) or not _WORD.search(found):
        return found
    values = _values(found)
    return values[0] if len(values) == 1 else found


def _whole(text: str) -> str | None:
    """Return a text that is nothing but an answer: one line of mathematics, or one word."""
    whole = text.strip()
    if len(whole) > LONGEST_WHOLE or _NOT_WHOLE.search(whole):
        return None
    if " " in whole and _LONE_WORD.search(_NO_PROSE.sub(" ", whole)):
        return None
    left, _, right = _bare(whole).rpartition("=")
    return right.strip() if not re.search("[A-Za-z]", _COMMAND.sub("", left)) else _bare(whole)


def _last_resort(text: str) -> str | None:
    for sentence in reversed(re.split(r"(?<=[.!?])\s+|\n+", text.rstrip()[-TAIL:])):
        bold = [b for b in _BOLD.findall(sentence) if any(c.isdigit() for c in b)]
        values = _after_equals(sentence) or _values(bold[-1] if bold else sentence)
        if values:
            return values[-1]
    return None


def _after_equals(sentence: str) -> list[str]:
    """Return what an equation in plain text gives: ``60 * 2 = 120 in 2 weeks`` names 120, not 2."""
    before, equals, after = sentence.rpartition("=")
    if not equals or not before or "\\" in sentence or _GOES_ON.search(after):
        return []
    return _values(after)[:1]


def _values(sentence: str) -> list[str]:
    """Return the numbers and formulas of a sentence, in their order; of a formula, what its last ``=`` gives."""
    found: list[tuple[int, str]] = []
    rest = sentence
    for span in _MATH.finditer(sentence):
        content = next(group for group in span.groups() if group is not None)
        if span.group(3) is not None and _PROSE_IN_MATH.search(content):
            continue  # "$5 and $6" is money
        rest = rest[: span.start()] + " " * (span.end() - span.start()) + rest[span.end() :]
        value = _bare(content.rsplit("=", 1)[-1])
        if any(c.isdigit() for c in value) or "\\" in value:
            found.append((span.start(), value))
    found += [(match.start(), match.group().strip()) for match in _NUMBER.finditer(rest)]
    return [value for _, value in sorted(found)]
