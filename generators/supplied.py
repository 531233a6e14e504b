"""The solutions that a row supplies, one or several, and people's labels of them."""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

from stepforge.generators.cells import Cells
from stepforge.generators.columns import answered_in, is_chat
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import PeopleLabel

MAX_SOLUTIONS = 1_000
"""Most solutions of one row."""
PEOPLE = ("first_error", "ratings", "error_span")
"""The fields that hold what people say; a set names one of them."""


class Brought(Record):
    """A solution that came with a problem instead of being sampled: cut into steps, or a text still to cut."""

    problem_id: str = ""
    text: str = ""
    steps: tuple[str, ...] = ()
    """Joined with nothing between, they are the solution's text."""
    people: PeopleLabel | None = None


class LabelMismatch(ValueError):
    """People's label names a step that does not exist."""


def on_steps(label: PeopleLabel, steps: Sequence[str]) -> PeopleLabel:
    """Return a label as one of these steps, where people marked characters.

    Raises:
        LabelMismatch: there are fewer steps than the label speaks of.
    """
    if label.error_start is not None:
        ends = list(accumulate(map(len, steps)))
        marked = "".join(steps)[label.error_start :]
        blanks = len(marked) - len(marked.lstrip()) if marked.strip() else 0  # a step ends after its line breaks
        return label.model_copy(update={"first_error": bisect_right(ends, label.error_start + blanks)})
    named = max(len(label.ratings), 0 if label.first_error is None else label.first_error + 1)
    if named > len(steps):
        raise LabelMismatch(
            f"people's label speaks of step {named}, and the solution is cut into {len(steps)}; "
            "name a column of steps, or the segmenter that cuts as people did"
        )
    return label


def solutions_of(cells: Cells) -> tuple[Brought, ...]:
    field = "steps" if "steps" in cells.columns else "solution"
    value = cells.value(field)
    several = _several(field, value)
    values = [value] if several is None else several
    if len(values) > MAX_SOLUTIONS:
        cells.bad(field, f"has over {MAX_SOLUTIONS:,} solutions; keep fewer")
    label = next((name for name in PEOPLE if name in cells.columns), None)
    said = None if label is None else cells.value(label)
    said_of_each = [said] * len(values) if several is None or said is None else said
    if not isinstance(said_of_each, list | tuple) or len(said_of_each) != len(values):
        cells.bad(label or field, f"is not a list with one entry for each of the {len(values)} solutions")
    found = [(_solution(cells, field, one), said) for one, said in zip(values, said_of_each, strict=True)]
    return tuple(_labeled(cells, label, said, solution) for solution, said in found if solution is not None)


def _several(field: str, value: object) -> list[object] | None:
    """Return the solutions of a column that holds a list of them; None if it holds one."""
    if not isinstance(value, list | tuple) or is_chat(value):
        return None
    nested = field == "solution" or any(isinstance(item, list | tuple) for item in value)
    return list(value) if nested else None


def _solution(cells: Cells, field: str, value: object) -> Brought | None:
    if field == "steps":
        steps = _holding(cells, field, value).steps()
        return Brought(steps=spaced(steps)) if steps else None
    try:
        answered = answered_in(value)
    except ValueError as error:
        cells.bad(field, str(error))
    text = _holding(cells, field, answered).text(field)
    return Brought(text=text) if text else None


def spaced(steps: Sequence[str]) -> tuple[str, ...]:
    """Return the steps with a blank line after each but the last, unless one ends in a line break already."""
    return (*(step if step.endswith("\n") else f"{step}\n\n" for step in steps[:-1]), *steps[-1:])


def _holding(cells: Cells, field: str, value: object) -> Cells:
    """Return the row with another value in a field: strict reading is the same for one of several."""
    row: Mapping[str, object] = {**cells.row, cells.columns[field]: value}
    return cells._replace(row=row)


def _labeled(cells: Cells, field: str | None, said: object, solution: Brought) -> Brought:
    if field is None or said is None:
        return solution
    if field == "ratings":
        people = _ratings(cells, said, len(solution.steps))
    elif field == "error_span":
        people = PeopleLabel(error_start=_start(cells, said, len(solution.text)))
    else:
        people = _first_error(cells, said, len(solution.steps))
    return solution.model_copy(update={"people": people})


def _first_error(cells: Cells, said: object, steps: int) -> PeopleLabel:
    index = _whole(said)
    if index is None or index < -1:
        cells.bad("first_error", f"{str(said)[:40]!r} is not the 0-based number of a step, or -1 for no error")
    if steps and index >= steps:
        cells.bad("first_error", f"names step {index} (from 0) of {steps}")
    return PeopleLabel(first_error=None if index == -1 else index)


def _ratings(cells: Cells, said: object, steps: int) -> PeopleLabel | None:
    """Return None if people stopped without a wrong step: whether there is one is unknown."""
    given = list(said) if isinstance(said, list | tuple) else []
    values = [_whole(one) for one in given]
    unread = any(value is None and one is not None for value, one in zip(values, given, strict=True))
    if unread or not isinstance(said, list | tuple) or not {None, -1, 0, 1}.issuperset(values):
        cells.bad("ratings", "is not a list of -1, 0, 1 and null, one for each step")
    if steps and len(values) > steps:
        cells.bad("ratings", f"has {len(values)} ratings for {steps} steps")
    if -1 in values:
        return PeopleLabel(first_error=values.index(-1), ratings=tuple(values))
    unknown = None in values or not values or (steps and len(values) < steps)
    return None if unknown else PeopleLabel(ratings=tuple(values))


def _start(cells: Cells, said: object, length: int) -> int | None:
    """Return where the first span begins: ``[start, end]``, ``{"start": ..., "end": ...}``, or a list of such."""
    spans = said if isinstance(said, list | tuple) and not (said and _whole(said[0]) is not None) else [said]
    starts: list[int] = []
    for span in spans:
        ends = span if isinstance(span, list | tuple) else [span.get("start") if isinstance(span, Mapping) else None]
        start = _whole(next(iter(ends), None))
        if start is None or not 0 <= start < length:
            cells.bad("error_span", f"{str(span)[:60]!r} is not a span [start, end] of the solution's characters")
        starts.append(start)
    return min(starts, default=None)


def _whole(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"\s*-?[0-9]{1,9}\s*", value) else None
    return int(value) if isinstance(value, int) or (isinstance(value, float) and value.is_integer()) else None
