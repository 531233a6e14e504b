"""Reading an option of a multiple choice: ``(B)``, ``B. 12 apples``, ``Option B``, ``(C) blue``."""

import re

from stepforge.grading.answer_types import Choice
from stepforge.grading.spelling import without_text_commands
from stepforge.grading.vocabulary import is_word

_LONE = re.compile(r"\(\s*([A-Ja-j])\s*\)|\\text\{\s*\(?\s*([A-Ja-j])\s*\)?\s*\}")
_WORDED = re.compile(r"\(\s*([A-Ha-h])\s*\)\s+([A-Za-z]{3}[A-Za-z ]*)")
_NAMED = re.compile(r"(?:[Oo]ption|[Cc]hoice)\s+\(?([A-Za-z])(?:\)\s*|\s*[.:]\s*|$)(.*)", re.DOTALL)
_MARKED = re.compile(r"\(\s*([A-Za-z])\s*\)\s*(.*)|\s*([A-J](?=\s*[).:])|[a-j](?=\s*\)))\s*[).:]\s*(.*)", re.DOTALL)


def lone_option(text: str) -> Choice | None:
    """Return an option that nothing else can be: a letter in brackets, alone or before words."""
    worded = _WORDED.fullmatch(without_text_commands(text))
    if worded is not None and (is_word(worded[2]) or worded[2].islower()):  # "(A) fig": letters after a blank
        return Choice(worded[1].upper(), worded[2].strip(), marked=True)
    lone = _LONE.fullmatch(text)
    return None if lone is None else Choice((lone[1] or lone[2]).upper(), "", marked=True)


def marked_option(text: str) -> Choice | None:
    """Return an option with its text, of what was not read as a value."""
    if (named := _NAMED.fullmatch(text)) is not None:
        return Choice(named[1].upper(), named[2].strip(), marked=True)
    if (marked := _MARKED.fullmatch(text)) is None:
        return None
    return Choice((marked[1] or marked[3]).upper(), (marked[2] if marked[1] else marked[4]).strip(), marked=True)
