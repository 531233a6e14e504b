r"""The shape of an answer: one value, a list, a tuple or interval, a matrix, a union or a relation; and its arity.

An answer of another shape than its reference's is never handed to Math-Verify, which calls ``1,1,1`` equal to ``1``.
"""

import re
from dataclasses import dataclass
from typing import Literal

ShapeKind = Literal["scalar", "list", "tuple", "interval", "matrix", "union", "relation"]
"""``list`` is an unordered collection (``1, -2`` or ``\\{1, -2\\}``), ``tuple`` may be an open or closed interval,
``interval`` is a half-open one."""


@dataclass(frozen=True)
class Shape:
    """Kind and elements of an answer; ``parts`` are the elements' texts, or the cells of a matrix row by row."""

    kind: ShapeKind
    parts: tuple[str, ...]
    rows: int = 1
    arity: int = 1


_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])", re.ASCII)
_AND = re.compile(r"\s(?:and|or)\s|\\text\{\s*(?:,\s*)?(?:and|or)\s*\}", re.IGNORECASE)
_RELATION = re.compile(r"[<>]|\\(?:le|ge|lt|gt|ne|neq|approx|equiv|sim)(?![A-Za-z])")
_UNION = re.compile(r"\\(?:cup|cap|setminus|bigcup|mathbb)(?![A-Za-z])")
_MATRIX = re.compile(r"\\begin\{[a-z]*(?:matrix|array)\}")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{[a-z]*\}(?:\{[lcr| ]*\})?")
_JUXTAPOSED = re.compile(r"(?<![\d_^,.])\d[\d.]*\s+(?=[\d.]*\d(?!\d*\s*/))", re.ASCII)
_GROUPED = re.compile(r"(?<!\d)\d{1,3}(?: \d{3})+(?!\d)", re.ASCII)
_MEMBERSHIP = re.compile(r"[A-Za-z]\s*\\in(?![A-Za-z])\s*")
_ASSIGNED = re.compile(r"([A-Za-z](?:_\{?\w+\}?)?(?:\([A-Za-z]\))?)\s*=\s*([^=]+)")


def shape_of(text: str) -> Shape:
    """Return the shape of a cleaned answer."""
    body = _MEMBERSHIP.sub("", text, count=1) if _MEMBERSHIP.match(text) else text
    if _MATRIX.search(body):
        rows = [row.split("&") for row in _ENVIRONMENT.sub(" ", body).split("\\\\") if row.strip()]
        cells = tuple(cell.strip() for row in rows for cell in row)
        return Shape("matrix", cells, rows=len(rows), arity=len(cells))
    if _UNION.search(body):
        return Shape("union", (body,))
    inside, kind = _inside(body.strip())
    parts = _split(inside, thousands=kind == "scalar")
    if kind == "scalar" and _RELATION.search(body):
        return Shape("relation", (body,))
    arity = sum(2 if "\\pm" in part or "\\mp" in part else 1 for part in parts)
    if arity == 1 and kind in ("tuple", "interval"):
        return shape_of(inside)
    if arity == 1 and kind == "scalar":
        return Shape("scalar", parts)
    return Shape("list" if kind == "scalar" else kind, parts, arity=arity)


def assigned(text: str) -> tuple[str | None, str]:
    """Split ``x = 5`` into the variable and the value; the variable is None where the text assigns none."""
    match = _ASSIGNED.fullmatch(text.strip())
    return (match[1], match[2].strip()) if match else (None, text)


def _inside(text: str) -> tuple[str, ShapeKind]:
    """Return what the outermost brackets hold and which shape they make; the text itself where there are none."""
    for opening, closing in (("\\{", "\\}"), ("{", "}")):
        if text.startswith(opening) and text.endswith(closing):
            return text[len(opening) : -len(closing)], "list"
    if text[:1] in ("(", "[") and text[-1:] in (")", "]") and _closes_at_end(text):
        return text[1:-1], "tuple" if text[0] + text[-1] in ("()", "[]") else "interval"
    return text, "scalar"


def _closes_at_end(text: str) -> bool:
    depth = 0
    for position, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0:
            return position == len(text) - 1
    return False


def _split(text: str, *, thousands: bool) -> tuple[str, ...]:
    """Split at the separators that stand in no bracket; thousands separators are none."""
    flat = _AND.sub(" , ", text)
    if thousands:
        flat = _THOUSANDS.sub(lambda m: m[0].replace(",", ""), flat)
        flat = _GROUPED.sub(lambda m: m[0].replace(" ", ""), flat)
    flat = _JUXTAPOSED.sub(lambda m: m[0].strip() + " , ", flat)
    parts, depth, start = [], 0, 0
    for position, character in enumerate(flat):
        depth += (character in "([{") - (character in ")]}")
        if character in ",;" and depth <= 0:
            parts.append(flat[start:position].strip())
            start = position + 1
    parts.append(flat[start:].strip())
    named = tuple(part for part in parts if part)
    return named or (text,)
