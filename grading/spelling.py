r"""One spelling for the many ways in which the same answer is written; what an answer means is never changed.

Text in, text out, linear time, nothing evaluated. Math signs, bold and ``\left`` go; typographic minus, full-width
letters, superscripts and vulgar fractions become ASCII; money stays marked by ``$``.
"""

import re
from itertools import accumulate

_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_SIGNS = {
    "\u2212": "-", "\u2010": "-", "\u2011": "-", "\u2013": "-", "\u2014": "-", "\u00d7": "\\times ",
    "·": "\\cdot ", "⋅": "\\cdot ", "∙": "\\cdot ", "÷": "/", "\u2044": "/", "\u2215": "/", "∞": "\\infty ",
    "π": "\\pi ", "°": "^\\circ ", "√": "\\sqrt ", "∛": "\\sqrt[3] ", "\u222a": "\\cup ", "\u2229": "\\cap ",
    "≤": "\\le ", "≥": "\\ge ", "⩽": "\\le ", "⩾": "\\ge ", "≠": "\\ne ", "±": "\\pm ", "∓": "\\mp ",
    "≈": "\\approx ", "∈": "\\in ", "∅": "\\emptyset ", "ℝ": "\\mathbb{R}", "θ": "\\theta ", "α": "\\alpha ",
    "β": "\\beta ", "Ω": "\\Omega ", "\u2126": "\\Omega ", "μ": "\\mu ", "µ": "\\mu ", "₹": "$", "€": "$",
    "£": "$", "¥": "$", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u3000": " ", "\u200b": "",
    "\ufeff": "", "\u2061": "", "\u2062": "", "，": ",", "、": ",", "。": ".", "“": '"', "”": '"', "‘": "'",
    "’": "'", "′": "'", "″": '"', "…": "...",
}  # fmt: skip
_FRACTIONS = (
    "½ 1/2 ⅓ 1/3 ⅔ 2/3 ¼ 1/4 ¾ 3/4 ⅕ 1/5 ⅖ 2/5 ⅗ 3/5 ⅘ 4/5 ⅙ 1/6 ⅚ 5/6 ⅐ 1/7 ⅛ 1/8 ⅜ 3/8 ⅝ 5/8 ⅞ 7/8 ⅑ 1/9 ⅒ 1/10"
)
_SIGNS |= {sign: f" {value}" for sign, value in zip(_FRACTIONS.split()[::2], _FRACTIONS.split()[1::2], strict=True)}
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n", strict=True))
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_OTHER_DIGITS = {
    zero + digit: 48 + digit
    for zero in (0x0660, 0x06F0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0E50, 0x0ED0)
    for digit in range(10)
}
"""Arabic, Persian, Indic, Thai and Lao digits."""
_NARROWED = _WIDE | _OTHER_DIGITS
_TRANSLATED = _NARROWED | str.maketrans(_SIGNS)
_RUNS = ((re.compile(f"[{''.join(_RAISED)}]+"), "^", _RAISED), (re.compile(f"[{''.join(_LOWERED)}]+"), "_", _LOWERED))
_ROOT = re.compile(r"(\\sqrt(?:\[\d\])?)\s+(\d+(?:\.\d+)?)", re.ASCII)

_FRAMES = (("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("\\boxed{", "}"), ("**", "**"), ('"', '"'), ("`", "`"))
_TEXT = (
    r"\\(?:mbox|textbf|textit|textrm|textnormal|texttt|textsf|mathrm|mathbf|mathit|mathsf|operatorname\*?"
    r"|text|hbox|rm|bf)"
)
_COMMANDS = {
    name: spelled
    for spelled, names in {
        "": "displaystyle textstyle limits nolimits mathstrut", " ": "quad qquad space nobreak thinspace",
        "...": "dots ldots cdots dotsb dotsc", "|": "vert lvert rvert", "\\{": "lbrace", "\\}": "rbrace", "<": "lt",
        ">": "gt", "\\le ": "leq leqslant", "\\ge ": "geq geqslant", "\\ne ": "neq", "\\approx ": "simeq cong doteq",
        "\\frac": "dfrac tfrac cfrac", "\\binom": "dbinom tbinom", "\\emptyset ": "varnothing O",
    }.items()
    for name in names.split()
}  # fmt: skip
_COMMAND = re.compile(rf"\\({'|'.join(_COMMANDS)})(?![A-Za-z])")
_REWRITES = tuple(
    (re.compile(pattern, re.ASCII), replacement)
    for pattern, replacement in (
        (r"\\(?:left|right|[bB]igg?[lrm]?)(?![A-Za-z])(?:\.(?!\d))?", ""),
        (r"\\text\s*\{\s*,\s*\}", "{,}"),
        (r"(?<=\d)(?:\{,\}|,(?:\\!|\{\})|\{\\[,;:! ]\})\s?(?=\d{3}(?!\d))", ""),
        (r"\{:\}", ":"),
        (r"\{,\}", ","),
        (r",\\!\s?", ","),
        (r"(?<!\\)\\[!,;:> ]|~", " "),
        (r"(?<!\\)\\(?=\d)", ""),
        (r"\\(?:boldsymbol|bm|underline|mathbf|pmb|mathnormal)\s*\{([^{}]*)\}", r"\1"),
        (r"\\(?:bf|rm|it|bfseries)(?![A-Za-z{])\s*(?!\{)", ""),
        (r"\\color\s*\{[a-zA-Z]*\}|\\textcolor\s*\{[a-zA-Z]*\}", ""),
        (_TEXT + r"\s*\{\s*([eip])\s*\}(?!\s*[A-Za-z(])", r" \1 "),
        (_TEXT + r"\s*\{\s*([A-Za-z])\s*\}(?=\s*_)", r" \1"),
        (r"\^\s*\{?\s*" + _TEXT + r"\s*\{\s*(st|nd|rd|th)\s*\}\s*\}?", r"\1"),
        (_TEXT + r"\s*\{\s*(sin|cos|tan|cot|sec|csc|log|ln)\s*\}", r"\\\1"),
        (_TEXT + r"\s*\{([^{}]*)\}", r"\\text{\1}"),
        (r"\\frac\s*\{\s*(\\text\{[^{}]*\})\s*\}\s*\{\s*(\\text\{[^{}]*\})\s*\}", r"\1/\2"),
        (r"<=", r"\\le "),
        (r">=", r"\\ge "),
        (r"!=", r"\\ne "),
        (r"\*\*(?=[^*]*\*\*)|(?<=[^*\s])\*\*$|__", " "),
        (r"\^\s*\{?\s*\\(?:circ|degree)\s*\}?|\\(?:degree|deg)(?![A-Za-z])", r" degrees "),
        (r"(?<=\d)[eE]([-+]?)(\d{1,3})(?![\d.A-Za-z])", r"\\times 10^{\1\2}"),
        (r"(?<=[\d)}])\s*[xX]\s*(?=10\s*\^)", r"\\times "),
        (r"(?<=\d)['_](?=\d{3}(?!\d))", ""),
        (r"\b(?:[Nn]egative|[Mm]inus)\s+(?=\\?\$?[.\d])", "-"),
        (r"\bper cent\b", "percent"),
        (r"(?<=\d)\s*([万亿])", r" \1 "),
        (r"\\%", "%"),
        (r"\+(?=\s*-)", ""),
        (r"\\text\{\s*infinity\s*\}|\b[Ii]nfinity\b", r"\\infty "),
        (r"\\triangle\s*(?=[A-Z])", ""),
        (r"\\(?:blacksquare|square|Box|qed)(?![A-Za-z])\s*$", ""),
        (
            r"(?<=\d)\s*\\frac\s*\{\s*([kcm]?m|ft|mi|[km]?g)\s*\}\s*\{\s*(s|h|hr|min|m?L)\s*\}$",
            r" \\text{\1}/\\text{\2}",
        ),
        (r"[ \t\n\r]+", " "),
    )
)
_UNIT_POWERS = re.compile(r"\\(?:mathrm|text)\{((?:[^{}]|\^\{-?\d\})*\^\{-?\d\}(?:[^{}]|\^\{-?\d\})*)\}", re.ASCII)
"""A unit with powers, ``\\mathrm{m\\,s^{-1}}``."""
_LETTERS = re.compile(r"(?<!\\)[A-Za-z]+")
_MONEY = re.compile(r"\\\$")
_MONEY_AFTER = re.compile(r"([-+]?)(\d[\d., ]*?)\s?\$", re.ASCII)
"""``1.200,50 €``."""
_BETWEEN_SPANS = re.compile(r"\$\s*\$")
_MARK = "\ue000"


def narrow(text: str) -> str:
    """Return a text with full-width letters and signs, and the digits of other scripts, in their ASCII form."""
    return text if text.isascii() else text.translate(_NARROWED)


def cleaned(text: str) -> str:
    r"""Return the answer in one spelling, e.g. ``$\dfrac{1}{2}$.`` as ``\frac{1}{2}``; a ``$`` left in it is money."""
    result = text.strip()
    if not result.isascii():
        result = _ascii(result)
    result = _unframed(result if result.endswith("...") else result.rstrip(".").strip())
    if "^{" in result:
        result = _UNIT_POWERS.sub(lambda m: _LETTERS.sub(r"\\text{\g<0>}", m[1]), result)
    result = _COMMAND.sub(lambda m: _COMMANDS[m[1]], result)
    for pattern, replacement in _REWRITES:
        result = pattern.sub(replacement, result)
    result = _money(result.strip()).strip()
    after = _MONEY_AFTER.fullmatch(result)
    result = f"{after[1]}${after[2]}" if after else result
    return result if result.endswith("...") else result.rstrip(".,;").strip()


def _ascii(text: str) -> str:
    for run, sign, digits in _RUNS:
        for found in set(run.findall(text)):
            text = text.replace(found, sign + "{" + "".join(digits[c] for c in found) + "}")
    return _ROOT.sub(r"\1{\2}", text.translate(_TRANSLATED).replace(_MARK, "").strip())


def _unframed(text: str) -> str:
    for _ in range(3):
        for opening, closing in _FRAMES:
            inner = between(opening, text, closing)
            if inner and opening not in inner and _balanced(inner):
                text = inner.strip()
    return text


def between(opening: str, text: str, closing: str) -> str:
    """Return the text between the two; empty if they do not frame it."""
    framed = text.startswith(opening) and text.endswith(closing)
    return text[len(opening) : len(text) - len(closing)] if framed else ""


def _balanced(text: str) -> bool:
    depths = list(accumulate(((c == "{") - (c == "}") for c in text), initial=0))
    return min(depths) == depths[-1] == 0


def _money(text: str) -> str:
    """Tell math signs from money: a lone ``$`` and every escaped one are money, pairs are math signs."""
    marked = _MONEY.sub(_MARK, text)
    signs = marked.count("$")
    if signs % 2 == 0:
        marked = _BETWEEN_SPANS.sub(" , ", marked.strip("$") if signs == 2 else marked).replace("$", " ")
    elif signs > 1:
        marked = marked.replace("$", " ")
    return marked.replace(_MARK, "$")


def without_text_commands(text: str) -> str:
    r"""Return the answer with ``\text{...}`` replaced by its content."""
    return re.sub(r"\\text\{([^{}]*)\}", r" \1 ", text).strip()
