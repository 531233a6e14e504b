"""What a comparison was about, in a few words: by these, disagreements between graders are counted."""

from stepforge.grading.answer_types import Choice, Equation, Items, Nothing, Ratio, Reading, Unread, Value, Words
from stepforge.grading.gates import refusal
from stepforge.grading.reading import read_answer
from stepforge.grading.regions import Region
from stepforge.grading.spelling import cleaned

_NAMES: dict[type, str] = {
    Equation: "equation", Region: "region", Words: "words", Nothing: "words", Choice: "choice",
    Ratio: "ratio or time", Unread: "other formula",
}  # fmt: skip


def subject(reference: str | None, answer: str | None) -> str:
    """Kind of the answer that was compared, such as ``number, percent`` or ``list``."""
    if reference is None or not reference.strip():
        return "no reference"
    if answer is None or not answer.strip():
        return "no answer found"
    if refusal(reference) or refusal(answer):
        return "refused"
    try:
        gold, given = read_answer(cleaned(reference)), read_answer(cleaned(answer))
    except Exception:  # what cannot even be read has a kind of its own
        return "unread"
    one, other = _name(gold), _name(given)
    return _pair(gold, given) if one == other else f"{one} against {other}"


def _pair(gold: Reading, given: Reading) -> str:
    name = _name(gold)
    if not isinstance(gold, Value) or not isinstance(given, Value) or gold.number is None or given.number is None:
        return name
    units = {gold.unit.name, given.unit.name} - {""}
    if "%" in units:
        return f"{name}, percent"
    if units:
        return f"{name}, units"
    return name if gold.number.value != given.number.value else f"{name}, equal values"


def _name(reading: Reading) -> str:
    if isinstance(reading, Value):
        return "formula" if reading.number is None else "number"
    return reading.kind if isinstance(reading, Items) else _NAMES[type(reading)]
