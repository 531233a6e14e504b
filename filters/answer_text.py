r"""One spelling for the many ways in which the same answer is written; what an answer means is never changed.

Text in, text out, linear time, nothing evaluated. Math signs, bold and ``\left`` go; typographic minus, full-width
letters and superscripts become ASCII; money stays marked by ``$``.
"""

import re

_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_SIGNS = {
    "\u2212": "-",
    "\u2013": "-",
    "\u2014": "-",
    "\u00d7": "\\times ",
    "·": "\\cdot ",
    "÷": "/",
    "\u2044": "/",
    "∞": "\\infty ",
    "π": "\\pi ",
}
_SIGNS |= {"°": "^\\circ ", "√": "\\sqrt ", "\u222a": "\\cup ", "≤": "\\le ", "≥": "\\ge ", "±": "\\pm ", "₹": "$"}
_SIGNS |= {"€": "$", "£": "$", "¥": "$", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u200b": "", "\u2061": ""}
_SIGNS |= {"½": " 1/2", "⅓": " 1/3", "⅔": " 2/3", "¼": " 1/4", "¾": " 3/4", "²": "^2", "³": "^3"}
_TRANSLATED = str.maketrans(_SIGNS) | _WIDE

_FRAMES = (("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("\\boxed{", "}"), ("**", "**"))
_REWRITES = tuple(
    (re.compile(pattern, re.ASCII), replacement)
    for pattern, replacement in (
        (r"\\(?:left|right|displaystyle|limits|big|Big|bigg|Bigg)(?![A-Za-z])\.?", ""),
        (r",(?:\\!|\{\})\s?", ","),
        (r"\{,\}", ","),
        (r"(?<!\\)\\[!,;:> ]|~|\\q?quad(?![A-Za-z])", " "),
        (r"(?<!\\)\\(?=\d)", ""),
        (r"\\[dt]frac(?![A-Za-z])", r"\\frac"),
        (r"\\(?:mbox|textbf|textit|textrm|mathrm|mathbf|operatorname|text)\s*\{([^{}]*)\}", r"\\text{\1}"),
        (r"\\leq(?![A-Za-z])", r"\\le"),
        (r"\\geq(?![A-Za-z])", r"\\ge"),
        (r"\*\*(?=[^*]*\*\*)|(?<=[^*\s])\*\*$|__", " "),
        (r"\^\{?\\circ\s*\}?|\\degree(?![A-Za-z])|\\deg(?![A-Za-z])", r" degrees "),
        (r"\\%", "%"),
        (r"[ \t\n]+", " "),
    )
)
_MONEY = re.compile(r"\\\$")
_BETWEEN_SPANS = re.compile(r"\$\s*\$")
_MARK = "\ue000"


def cleaned(text: str) -> str:
    r"""Return the answer in one spelling, e.g. ``$\dfrac{1}{2}$.`` as ``\frac{1}{2}``; a ``$`` left in it is money."""
    result = text.translate(_TRANSLATED).replace(_MARK, "").strip()
    result = _unframed(result.rstrip(".").strip())
    for pattern, replacement in _REWRITES:
        result = pattern.sub(replacement, result)
    return _money(result.strip()).strip().rstrip(".,;").strip()


def _unframed(text: str) -> str:
    for _ in range(3):
        for opening, closing in _FRAMES:
            inner = text[len(opening) : len(text) - len(closing)]
            if text.startswith(opening) and text.endswith(closing) and opening not in inner and _balanced(inner):
                text = inner.strip()
    return text


def _balanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth < 0:
            return False
    return depth == 0


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
