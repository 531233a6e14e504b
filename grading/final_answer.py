r"""Finding the final answer in a solution's text, in linear time.

These frames are known, tried in this order: ``<answer>`` tags, ``\boxed{...}`` (MATH), ``#### ...`` (GSM8K), JSON,
``Answer: ...``, and ``the answer is ...``, in several languages. The last occurrence of the first frame found counts.
A text without a frame still states an answer where its closing sentences name a number or a formula;
``stated_answer`` leaves that last resort out.
"""

import re
from collections.abc import Callable

from stepforge.grading import frames
from stepforge.grading.last_resort import OR_RATHER, last_value, whole_answer
from stepforge.grading.phrases import after_colon, after_is, answer_of, chosen, picked
from stepforge.grading.spelling import narrow
from stepforge.grading.verdict import decide

MAX_BARE = 300
"""Longest reference in words, without a frame, that is taken as it stands, in characters."""

_ANSWER_LINE = re.compile(r"^\s*Answer:(.*)$", re.MULTILINE)
_SENTENCES = re.compile(r"[.!?]\s+[A-Z]|[。！？].")
_NEXT_QUESTION = re.compile(
    r"\n\s{0,3}(?:#{1,4} ?|\*\*)?(?:Question|Problem|Q|User|Human|Instruction|问题|题目)(?: ?\d{1,3})?(?:\*\*)? ?[:：]"
)
_PROSE = re.compile(r"(?:^|\s)[A-Za-z]{2,}\s+[A-Za-z]{2,}")


def extract_answer(text: str) -> str | None:
    """Return the final answer as written, without its frame; None where the text names none at all.

    Without a frame, a text that is one formula or one word is the answer itself; of any other, the last number or
    formula of the last sentence that has one is returned.
    """
    body = _response(text)
    stated = _stated(body)
    if stated is not None or frames.unfinished_thought(body):
        return stated or None
    if (whole := whole_answer(body)) is not None:
        return _cut(whole)
    return _cut(OR_RATHER.join(filter(None, (picked(body), last_value(body)))))


def stated_answer(text: str) -> str | None:
    """Return the final answer in one of the frames, as written; None where the text has no frame."""
    return _stated(_response(text)) or None


def stated_line(text: str) -> str | None:
    """Return all that the last line with ``Answer:`` says after it, as a plan is stated; None where there is none."""
    found = _ANSWER_LINE.findall(text)
    return _cut(found[-1].strip()) if found else None


def cut_off(text: str) -> bool:
    """Whether a text ends within its thoughts or within the box of its answer, whatever its server says."""
    body = _response(text)
    return frames.unfinished_thought(body) or frames.boxed(body) == ""


def answer_in_words(text: str, reference: str | None, *, stated: bool = False) -> str | None:
    """Return the final answer where it may be a sentence: framed, else the whole line with ``Answer:``.

    A frame ends at a comma or where its sentence goes on, which may be within such an answer; so a whole line that says
    what the reference says comes first. A number of the closing sentences is the last resort, unless the answer must be
    ``stated``.
    """
    line = stated_line(text)
    if line is not None and reference is not None and decide(reference, line, "text") == "correct":
        return line
    found = stated_answer(text) or line
    return found if found or stated else extract_answer(text)


def reference_answer(text: str) -> str | None:
    r"""Return the answer that a worked solution frames (``#### 18``, ``\boxed{18}``), or a bare answer as it is.

    None where there is neither: a reference is never guessed, as a wrong one falsifies every label.
    """
    if (stated := stated_answer(text)) is not None:
        return stated
    plain = narrow(text).strip()
    if "####" in plain or "\\boxed" in plain or "\\fbox" in plain:
        return None
    prose = _PROSE.search(plain) is not None
    if prose and (len(plain) > MAX_BARE or "\n" in plain or _SENTENCES.search(plain)):
        return None
    return plain or None


def _response(text: str) -> str:
    """Return a response without its thinking, and without the next question that a base model asks itself."""
    body = frames.last_word(narrow(text))
    following = _NEXT_QUESTION.search(body, 1)
    before = body[: following.start()] if following else ""
    return before if _stated(before) else body


def _stated(text: str) -> str | None:
    """Return the framed answer; empty where a box was cut off."""
    if (tag := frames.tagged(text)) is not None:
        short = frames.bare(tag) if len(tag) <= MAX_BARE and "\n" not in tag else None
        return _cut(_stated(tag) or short or last_value(tag))
    if (box := frames.boxed(text)) is not None:
        return _cut(box) or ""
    found = (_cut(find(text)) for find in _FINDERS)
    return next(filter(None, found), None)


def _hashes(text: str) -> str | None:
    found = frames.after_hashes(text)
    return None if found is None else answer_of(found[: 2 * frames.MAX_ANSWER]) or frames.bare(found)


_FINDERS: tuple[Callable[[str], str | None], ...] = (_hashes, frames.in_json, after_colon, after_is, chosen)


def _cut(found: str | None) -> str | None:
    return found[: frames.MAX_ANSWER + 1] if found else None
