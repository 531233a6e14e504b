r"""Lines that open a step, in many languages: ``Step 1.``, ``**Step 1**``, ``### Step 1``, ``\textbf{Step 1:}``.

Where no line says "step" in any language known here, the items of a numbered list are the steps; where there is no
such list either, the sentences opened by ordinal words.
"""

import re
from typing import NamedTuple

_WORDS = (
    "step stage",  # English
    "étape etape",  # French
    "schritt",  # German
    "paso etapa",  # Spanish
    "passo",  # Portuguese, Italian
    "passaggio fase",  # Italian
    "stap",  # Dutch
    "steg trinn trin",  # Swedish, Norwegian, Danish
    "vaihe",  # Finnish
    "krok",  # Polish, Czech, Slovak
    "korak",  # Croatian, Serbian, Slovene
    "pasul pas",  # Romanian, Catalan
    "lépés",  # Hungarian
    "adım adim",  # Turkish
    "langkah",  # Indonesian, Malay
    "bước",  # Vietnamese
    "hakbang hatua",  # Filipino, Swahili
    "шаг этап",  # Russian
    "крок",  # Ukrainian
    "стъпка корак",  # Bulgarian, Serbian
    "βήμα",  # Greek
    "الخطوة خطوة",  # Arabic
    "گام مرحله",  # Persian
    "שלב צעד",  # Hebrew
    "चरण कदम",  # Hindi
    "ধাপ",  # Bengali
    "படி",  # Tamil
    "ขั้นตอนที่ ขั้นที่ ขั้นตอน",  # Thai
    "步骤 步驟 步",  # Chinese
    "ステップ 手順 段階",  # Japanese
    "단계 스텝",  # Korean
)
_WORD = "|".join(re.escape(word) for words in _WORDS for word in words.split())
_COUNTED = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
_HAN = "一二三四五六七八九十百兩两〇零"
_NUMBER = rf"(?:\d{{1,6}}|[{_HAN}]{{1,4}}|(?-i:[IVX]{{1,5}})|{_COUNTED})"
_LATEX = r"\\[A-Za-z]{2,20}\*?[ \t]*(?:\{|(?=[ \t\\]))"
_LEAD = rf"^[ \t]*+(?P<lead>(?:[^\w\r\n\\]|_|{_LATEX}){{0,16}}+)(?:\d{{1,4}}[.)][ \t]*(?P<bold>[*_]{{2}})?)?"
_NAMED = r"(?:(?:n[°ºo]\.?|no\.|nr\.|№|\#|第)[ \t]{0,2})?"
_MARKER = re.compile(
    rf"{_LEAD}(?:"
    rf"(?:{_WORD})(?:[ \t]{{1,4}}{_NAMED}|(?=[\d{_HAN}])){_NUMBER}(?![^\W_])"
    rf"|第[ \t]?{_NUMBER}[ \t]?(?:步骤|步驟|步|段階|ステップ|단계)"
    rf"|\d{{1,6}}[ \t]?(?:단계|ステップ|번째[ \t]단계)"
    rf"|\d{{1,6}}(?:\.|st|nd|rd|th|er|e|\.?[ºª°])?[ \t](?:{_WORD})(?=[ \t]?[*_]*[:：])"
    rf"|(?!\d)\w{{3,20}}[ \t](?:{_WORD})(?=[ \t]?[*_]*[:：])"
    r")",
    re.I | re.M,
)
_ENDED = re.compile(
    r"(?:[ \t]?(?:/|of)[ \t]?\d{1,6})?[*_}\])】]*[ \t]*"
    r"(?:[(（\[][^\r\n()（）]{1,120}[)）\]][*_}]*[ \t]*)?"
    r"(?:[:：)）、，．。|]|\.(?!\d)|[-\u2013\u2014](?=\s)|\r?$)",
    re.M,
)
"""What follows the number where it opens a step: a sign, perhaps after a title in brackets, or the line's end."""
_TITLE = re.compile(r"[ \t]+[^\W\d_a-z]")
"""A title that follows without a sign begins with a capital, or is written in letters that have none."""
_OPENED = ("**", "__", "#", "{", "[", "【")
"""What makes a line a marker without a sign after the number."""
_ITEM = re.compile(
    r"^(?P<indent>[ \t]*)(?:#{1,6}[ \t]+)?(?:[*_]{2})?[(（]?(?P<number>\d{1,4})(?:[.)）](?=[\s*_])|[、．）])", re.M
)


_ORDINAL_WORDS = (
    "first first_of_all firstly erstens zuerst premièrement d'abord primero primeiro во-первых 首先 第一",
    "second secondly zweitens deuxièmement segundo во-вторых 其次 第二",
    "third thirdly drittens troisièmement tercero terceiro в-третьих 再次 第三",
    "fourth fourthly viertens quatrièmement cuarto quarto в-четвёртых в-четвертых 第四",
    "fifth fifthly fünftens cinquièmement quinto в-пятых 第五",
    "sixth sixthly 第六",
    "seventh seventhly 第七",
    "eighth eighthly 第八",
)
_ORDINALS = {word.replace("_", " "): n for n, words in enumerate(_ORDINAL_WORDS) for word in words.split()}
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


_ORDINAL = re.compile(
    r"(?:^[ \t]{0,16}(?:[-*+>•#]{1,6}[ \t]{1,4})?[*_]{0,3}"
    r"|(?<=[.!?:])[ \t]{1,4}|(?<=[.!?][)\"”*$])[ \t]{1,4}|(?<=[。！？])[ \t\u3000]{0,4})"
    rf"(?:(?P<number>(?=[A-ZА-Я第首其再]){'(?i:' + _any(' '.join(_ORDINAL_WORDS)) + ')'})"
    rf"(?:[*_]{{0,3}}[ \t]?[,:，：、]|[ \t](?:{_any(_DOING)})\b)"
    rf"|(?=[A-ZА-Я然接最])(?i:{_any(_FURTHER)})(?:[*_]{{0,3}}[,:，：]|[ \t](?=[a-zа-я$\\])|(?<=[后着後])))",
    re.M,
)
"""At the start of a line or a sentence, with a capital where letters have one. ``First term`` opens nothing."""


class _Run(NamedTuple):
    """A list item and the run of items that it ends."""

    place: int
    before: "_Run | None"
    length: int


def step_starts(text: str) -> list[int]:
    """Return where the steps begin that a marker opens: all of one kind."""
    marked = [match.start() for match in _MARKER.finditer(text) if _opens(text, match)]
    return marked or _numbered(text) or _ordinal_starts(text)


def _opens(text: str, match: re.Match[str]) -> bool:
    if match["bold"] or any(opened in match["lead"] for opened in _OPENED):
        return True
    return bool(_ENDED.match(text, match.end()) or _TITLE.match(text, match.end()))


def _numbered(text: str) -> list[int]:
    """Return the longest run of list items numbered one after the other, at the smallest indentation there is."""
    items = [(match.start(), len(match["indent"]), int(match["number"])) for match in _ITEM.finditer(text)]
    least = min((indent for _, indent, _ in items), default=0)
    runs: dict[int, _Run] = {}
    longest: _Run | None = None
    for place, indent, number in items:
        if indent == least:
            before = runs.get(number - 1)
            run = _Run(place, before, before.length + 1 if before else 1)
            runs[number] = max(runs.get(number, run), run, key=lambda one: one.length)
            longest = max(longest or run, run, key=lambda one: one.length)
    places = []
    while longest is not None:
        places.append(longest.place)
        longest = longest.before
    return places[::-1]


def _ordinal_starts(text: str) -> list[int]:
    """Return where the sentences opened by such words begin; nothing without two ordinals of different number."""
    opened = list(_ORDINAL.finditer(text))
    numbers = {_ORDINALS[match["number"].lower()] for match in opened if match["number"]}
    return [match.start() for match in opened] if len(numbers) > 1 else []
