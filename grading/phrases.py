"""Answers in a sentence: ``Answer: ...``, ``the answer is ...``, and the same in other languages.

What follows the answer in its sentence is cut off, and a sentence that says something else about the answer ("This
answer is correct.") states none.
"""

import re
from collections.abc import Iterator

from stepforge.grading.frames import MAX_ANSWER, bare
from stepforge.grading.last_resort import PROSE_IN_MATH, values_of

MAX_WORDS = 6
"""Longest answer in words alone."""
LAST_FRAMES = 50
"""How many phrases are looked at, from the end."""
CLOSING = 400
"""How much of a text's end is searched for an option, or a yes or no, that it picks, in characters."""
FOREIGN_TAIL = 20_000
"""How much of a text's end is searched for phrases of other languages, in characters."""

# "\banswer" in any case, written so that the search skips to the next "a" instead of looking at every character.
_ANSWER = r"[Aa](?<!\w[Aa])(?i:nswer)"
_COLON = re.compile(_ANSWER + r"s?(?: \([^()\n]{1,40}\))?[*_]{0,3}[ \t]{0,3}[:=](?:[*_]{1,3}(?=\s|$))?")
_IS = re.compile(
    r"(?:" + _ANSWER + r"|(?<=[Tt]he )(?:solution|root)s?\b|(?<=[Cc]orrect )(?:option|choice)s?\b)"
    r"s?\b[^\n.:=$\\]{0,60}?\b(?i:is|are|would be|should be|will be|must be)\b(?:[*_]{1,3}(?=[\s:]|$))?"
    r"[ \t]{0,3}:?(?:[*_]{1,3}(?=\s|$))?"
)
_CHOSEN = re.compile(r"\b(?i:option|choice|answer)\s+\(?([A-J])\)?\s+(?i:is)\s+(?:the\s+)?(?i:correct|right)\b")
_PICKED = re.compile(
    r"\b(?i:choose|pick|select|go with|option:|choice:|thus|hence|therefore|so|(?:statement|claim) is),?\s+"
    r"(?:(?i:option|choice|answer)\s+)?\(?([A-J]|(?i:yes|no|true|false))\)?\.?\s*\Z"
)
_ROUNDS = re.compile(
    r"[^.\n\d]{0,30}?(?:rounds?|rounded|about|approximately|roughly|\u2248)[^.\n\d]{0,9}"
    r"(-?\d[\d,]*(?:\.\d+)?)(?!\d|\.\d|\s*\\?%)"
)
_LETTER = re.compile(r"\(?([A-J])\)?(?:[,;](?!\s*(?:and\s+)?\(?[A-J]\b)|\s+(?:\(|(?:because|since|as|not|and not)\b))")
_NOUNS = (
    "答案 答え 解答 答 结果 结论 정답 답 Ответ ответ ОТВЕТ Réponse réponse Antwort Respuesta respuesta Resposta "
    "resposta Risposta risposta Antwoord Odpowied Cevap Đáp উত্তর คำตอบ సమాధానం Jibu jibu उत्तर Lösung Ergebnis "
    "Solución Решение"
)
_VERBS = "选 是 为 為 就是 等于 等於 は 은 는 равен est es è é lautet ist is son sont sind sono são :"
_FOREIGN = re.compile(
    "(?:" + _NOUNS.replace(" ", "|") + r")[^\n.:：=$\\\d]{0,40}?(?:" + "|".join(
        re.escape(verb) if not verb.isascii() or verb == ":" else rf"\b{verb}\b" for verb in _VERBS.split()
    ) + r"|[:：=—]|ni\b|คือ)(?:[*_]{1,3}(?=[\s:]|$))?[ \t]{0,3}[:：]?(?:[*_]{1,3}(?=\s|$))?"
)  # fmt: skip
_SENTENCE_END = re.compile(r"(?<!\.\.)[.!?](?=\s|$)|\n|[。！？]")
"""The end of a sentence; the dots of ``0.333...`` are none."""
_LEADING = re.compile(
    r"(?:[*_:\s]+|(?:approximately|about|around|roughly|exactly|simply|just|only|therefore|thus|clearly|now|then|"
    r"indeed|equal to|given by|found to be|option|choice|also|still|that)\b)+", re.IGNORECASE
)  # fmt: skip
_OPTION = re.compile(r"\(?[A-J]\)?[.):][ \t]+\S.{0,80}")
_SPAN = re.compile(
    r"\*\*(?P<bold>[^*\n]{1,200})\*\*|\*(?P<italic>[^*\n]{1,200})\*|\\\((?P<round>.{1,400}?)\\\)"
    r"|\\\[(?P<square>.{1,800}?)\\\]"
    r"|\$\$(?P<display>.{1,800}?)\$\$|(?<!\\)\$(?P<math>(?:\\.|[^$\\\n]){1,400})\$|\"(?P<quoted>[^\"\n]{1,200})\""
    r"|`(?P<code>[^`\n]{1,200})`",
    re.DOTALL,
)
_STARTS_WITH_VALUE = re.compile(
    r"[-+\u2212±~(\[{\\$€£¥₹.\d√π∞½⅓⅔¼¾⅕-⅞∅]|(?:[A-Za-z](?:_\{?\w+\}?)?|\([a-z, ]+\))\s*(?:=|\\in|[<>≤≥^*/+-])"
    r"|[A-Za-z](?:\d|[²³⁴-⁹]|\s*$)|(?:pi|sqrt|sin|cos|tan|log|ln|exp)\b"
)
_CONTINUES = re.compile(
    r"\s*(?:,|;|,?\s*(?:and|or|&))\s+(?=[-+\u2212(\[{\\$€£¥.\d*]|[A-Za-z](?:_\{?\w+\}?)?\s*=)"
    r"|\s*[,;]\s*(?=[-\u2212(\[{\\$.\d])"
)
_EXPLAINS = re.compile(
    r"[,;:.]?\s+(?:-\s+(?=[A-Za-z]{2,})|[—–]\s+(?=[A-Za-z]+(?:\s|$)))|[,;:]?\s+(?:\()?(?:which|who|so|since|because|as|where"
    r"|when|while|if|but|not|and not|or not|thus|hence|therefore|giving|meaning|making|i\.e|e\.g|in total|in all"
    r"|altogether|using|given)\b"
    r"|[,;]\s+(?!(?:and|or)\b)(?=[^\W\d_]{2,}(?:\s|$|[,.]))(?![A-Za-z]+\s*=)|,?\s+(?:and|or)\s+(?=(?:so|we|he|she"
    r"|about|approximately|roughly|it|they|the|this|that|you|I|not|a(?! (?:half|third|quarter)\b))\b)"
)
_AFTER_NUMBER = re.compile(
    r"\s+[(\[]|:\s+(?=[A-Za-z])|[,;]?\s+(?:for|of|on|at|from|with|after|before|by|during|until|out|left|remaining"
    r"|total|over|under|when|each)\b(?! zero)|\s+(?:in|to)\s+(?=[A-Za-z]{2,})"
)
_PLAIN_HEAD = re.compile(
    r"[-+\u2212]?\s*\\?[$€£¥₹]?\s*[-+\u2212]?[\d.][\d,.]*(?:\s?[/:]\s?\d+)?\s*(?:\\?%)?(?:\s*[A-Za-z%°¢][\w./²³^-]*){0,4}"
)
_NO_ANSWER = re.compile(
    r"(?:\W*(?:the|a|an|also|indeed|very|quite|now|all|both)\b)*\W*(?:correct|right|wrong|incorrect|reasonable|helpful"
    r"|clear|obvious|above|below|see|shown|given|found|verified|confirmed|consistent|unique|valid|simple|easy|complete"
    r"|done|here|this|that|it|as|not|in|on|at|to|of|for|what|how|if|when|boxed|same|following|accurate|final|checked"
    r"|rounded|supported|unknown|unclear|integer|whole|natural|(?:even|odd) number|positive|negative|real|number|value"
    r"|fraction|decimal|sum|product|difference|total|result|derived|obtained|based|calculated|computed|written|likely"
    r"|expressed|probably|meaningful|sensible|plausible|logical|satisfactory|useful|true to)\b.*",
    re.IGNORECASE | re.DOTALL,
)
_VERB = re.compile(
    r"\b(?:is|are|was|were|be|been|being|has|have|had|can|could|will|would|should|must|may|might|does|do|did|makes?"
    r"|gives?|means?|needs?|gets?|know|want|let|I|we|you)\b"
)


def after_colon(text: str) -> str | None:
    return _framed(_places(text, _COLON, foreign=False))


def after_is(text: str) -> str | None:
    """Return the text after ``the answer is``, or after a phrase like it in another language."""
    return _framed(_places(text, _IS, foreign=True))


def chosen(text: str) -> str | None:
    """Return the option that a text calls correct: ``Option B is correct``."""
    options = set(_CHOSEN.findall(text))
    return options.pop() if len(options) == 1 else None


def picked(text: str) -> str | None:
    """Return the option, yes or no that a text ends with, ``I choose B.``: no frame, as a set may be picked too."""
    found = _PICKED.search(text, max(0, len(text) - CLOSING))
    return found[1] if found else None


def _places(text: str, frame: re.Pattern[str], *, foreign: bool) -> Iterator[str]:
    """Yield what follows each phrase, the last one first."""
    ends = [match.end() for match in frame.finditer(text)][-LAST_FRAMES:]
    start = max(0, len(text) - FOREIGN_TAIL)
    if foreign and any(text.find(noun, start) >= 0 for noun in _NOUNS.split()):
        ends += [match.end() for match in _FOREIGN.finditer(text, start)][-LAST_FRAMES:]
    for end in sorted(ends, reverse=True):
        yield text[end : end + MAX_ANSWER * 2]


def _framed(places: Iterator[str]) -> str | None:
    """Return the text after the last phrase that a value follows; else after the last that words follow."""
    words: str | None = None
    for after in places:
        found = answer_of(after)
        if found and (any(c.isdigit() for c in found) or "\\" in found or len(found) == 1):
            return found
        words = words or found
    return words


def answer_of(after: str) -> str | None:
    """Return the answer with which a text begins, without what its sentence says beside it; None where it has none."""
    body = after.lstrip()
    if (option := _OPTION.match(body.split("\n", 1)[0])) is not None:
        return bare(option.group())
    marked = body.startswith("*")
    leading = None if marked else _LEADING.match(body)
    stripped = body[leading.end() :] if leading else body
    if (spanned := _spanned(stripped)) is not None:
        span = _SPAN.match(stripped)
        return _with_rounded(bare(spanned), stripped[span.end() if span else 0 :])
    sentence = bare(_first_sentence(body.lstrip("* ") if marked else stripped))
    if (letter := _LETTER.match(sentence)) is not None:
        return letter[1]
    if _STARTS_WITH_VALUE.match(sentence):
        value = bare(_without_explanation(sentence, value=True))
        return _with_rounded(value, sentence[len(value) :]) or None
    return _from_words(sentence) if sentence else None


def _with_rounded(value: str, rest: str) -> str:
    """Return ``2.5 \\approx 3`` of ``2.5, which rounds to 3``: either may be asked for."""
    rounded = _ROUNDS.match(rest)
    return f"{value} \\approx {rounded[1]}" if value and rounded and "approx" not in value else value


def _first_sentence(body: str) -> str:
    end = _SENTENCE_END.search(body)
    return body[: end.start()] if end else body


def _spanned(body: str) -> str | None:
    """Return an answer that is marked off as bold, quoted or mathematics, with the list and the unit that it begins."""
    span = _SPAN.match(body)
    if span is None or (span["math"] is not None and PROSE_IN_MATH.search(span["math"])):
        return None
    content = (span[span.lastgroup or 0]).strip()
    if not re.search(r"\w", content) or content.endswith(":"):
        return None
    rest = _first_sentence(body[span.end() :])
    found = [content]
    while (link := _CONTINUES.match(rest)) and (more := _SPAN.match(rest, link.end())) is not None:
        found.append(more[more.lastgroup or 0].strip())
        rest = rest[more.end() :]
    if len(found) > 1:
        return ", ".join(found)
    unit = re.match(r"\s*(?:\\?%|[A-Za-z°²³]+(?:/[A-Za-z]+)?(?: per [A-Za-z]+)?)(?=\s|$|[,;(])", rest)
    if span.lastgroup not in ("bold", "italic"):
        return content
    if unit and content[-1:].isdigit() and not _EXPLAINS.match(rest) and not _AFTER_NUMBER.match(rest + " x"):
        return f"{content} {unit[0].strip()}"
    return content if content[:1].isdigit() else answer_of(content)


def _without_explanation(sentence: str, *, value: bool) -> str:
    """Cut a sentence where it begins to say something beside its answer."""
    cuts = [_EXPLAINS.search(sentence, 1)]
    if value:
        head, after = _PLAIN_HEAD.match(sentence), _AFTER_NUMBER.search(sentence, 1)
        cuts.append(after if head and after and after.start() <= head.end() else None)
    return sentence[: min((cut.start() for cut in cuts if cut), default=len(sentence))].rstrip(" ,;:(*")


def _from_words(sentence: str) -> str | None:
    """Return the one value that a sentence names, or the words that answer; None where it is about the answer."""
    cut = _without_explanation(sentence, value=False)
    values = values_of(cut)
    if len(values) == 1:
        return values[0]
    if values:
        return cut
    if _NO_ANSWER.fullmatch(cut) or len(cut.split()) > MAX_WORDS or _VERB.search(cut) or len(cut) > 100:
        return None
    return cut or None
