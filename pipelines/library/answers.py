"""Grading answers and cutting steps from Python."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from stepforge.generators.segmenters import AnySegmenter, Segmenter
from stepforge.grading.final_answer import extract_answer, reference_answer
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.library.waiting import finished
from stepforge.pipelines.settings.faults import kind_fault
from stepforge.schemas.errors import BadInput
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Outcome


class Grade(NamedTuple):
    outcome: Outcome
    extracted: str | None


def grade(answer: str, response: str) -> Grade:
    """Compare a response with a reference answer; ``undetermined`` where that cannot be decided."""
    return grade_all([(answer, response)])[0]


def grade_all(pairs: Iterable[tuple[str, str]]) -> list[Grade]:
    """Grade many (reference answer, response) pairs at once; symbolic comparisons run in processes of their own."""
    return finished(_grades(text_pairs(pairs, "an answer and a response")))


def text_pairs(given: object, what: str) -> list[tuple[str, str]]:
    """Return what was given as pairs of texts. Raises BadInput: it is anything else; a text of two letters is no
    pair."""
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | Mapping):
        raise BadInput(f"give a list of pairs, each {what}, not {type(given).__name__}")
    listed = list(given)
    for number, pair in enumerate(listed):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise BadInput(f"item {number} is not a pair of {what}: {ascii(pair)[:40]}")
        if odd := [type(text).__name__ for text in pair if not isinstance(text, str)]:
            raise BadInput(f"item {number}: {what} must be texts, not {odd[0]}")
    return [(one, other) for one, other in listed]


async def _grades(pairs: list[tuple[str, str]]) -> list[Grade]:
    async with PooledGrader() as grader:

        async def one(reference: str, response: str) -> Grade:
            found = extract_answer(response)
            known = reference_answer(reference)
            problem = Problem(
                id="pair", source="pair", domain="pair", question="", answer=known, answer_kind="math", group="pair"
            )
            (outcome,) = await grader.grade(problem, [found])
            return Grade(outcome, found)

        return list(await asyncio.gather(*(one(*pair) for pair in pairs)))


def cut(text: str, segmenter: str | Segmenter = "line") -> tuple[str, ...]:
    """Cut a solution into steps; joined with nothing between, they are the text.

    Args:
        text: The solution.
        segmenter: ``blank_line``, ``line``, ``sentence``, ``step_marker``, ``pieces``, or a segmenter.

    Raises:
        BadInput: there is no such segmenter.
    """
    if not isinstance(text, str):
        raise BadInput(f"text: a {type(text).__name__} cannot be cut into steps; give a str")
    if isinstance(segmenter, str):
        try:
            segmenter = TypeAdapter[Segmenter](AnySegmenter).validate_python({"kind": segmenter})
        except ValidationError as error:
            raise BadInput(f"segmenter: {kind_fault(error)}") from None
    if not callable(segmenter):
        raise BadInput(f"segmenter: {segmenter!r} is neither the name of a kind nor a segmenter")
    return segmenter(text)
