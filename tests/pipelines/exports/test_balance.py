"""Rows evened out over a run: common classes are thinned, rare ones stay."""

from collections import Counter
from collections.abc import Iterator, Sequence

from stepforge.pipelines.exports import KTO
from stepforge.pipelines.exports.balance import Axis, Evened, evened, length_class, position_class, with_classes
from stepforge.pipelines.exports.step_pairs import StepPairRow
from stepforge.pipelines.exports.whole_solutions import KTORow
from stepforge.schemas.arrow import from_table, to_table
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.record import Record


class Plain(Evened):
    """Rows by difficulty alone."""

    kind: str = "plain"
    name: str = "plain"
    even: tuple[Axis, ...] = ("difficulty",)

    def rows(self, problem: LabeledProblem) -> Iterator[Record]:
        yield from ()


def thinned(
    rows: Sequence[StepPairRow], evenness: float, *, at_a_time: int = 1000, part: Plain | None = None
) -> list[StepPairRow]:
    part = part or Plain()
    parts = [rows[i : i + at_a_time] for i in range(0, len(rows), at_a_time)]
    tables = [with_classes(to_table(some, StepPairRow), some, part) for some in parts]
    return [row for table in evened(lambda: tables, evenness) for row in from_table(table, StepPairRow)]


def pair_of(difficulty: int, number: int) -> StepPairRow:
    texts = {"prompt": f"p{number}", "chosen": "a", "rejected": "b", "full_chosen": "a", "full_rejected": "b"}
    values = {"certainty": 0.1, "chosen_value": 0.9, "rejected_value": 0.1, "step": 0, "kind": "step"}
    values |= {"chosen_length": 1, "rejected_length": 1}
    ids = {"domain": "d", "difficulty": difficulty, "problem_id": "p", "solution_id": "s", "labeler": "l"}
    return StepPairRow.model_validate({**texts, **values, **ids})


def test_common_classes_are_thinned_and_rare_ones_kept() -> None:
    rows = (
        [pair_of(1, i) for i in range(900)] + [pair_of(2, i) for i in range(100)] + [pair_of(3, i) for i in range(40)]
    )
    kept = Counter(row.difficulty for row in thinned(rows, 2))
    assert (kept[2], kept[3]) == (100, 40)
    assert 150 < kept[1] < 250  # twice the median class, give or take
    assert thinned(rows, 1e9) == rows
    assert thinned([], 3) == []
    assert thinned(rows, 1, part=Plain(even=())) == rows
    assert thinned(rows, 3) == thinned(rows, 3, at_a_time=7)


def test_what_is_evened_is_chosen() -> None:
    row = pair_of(3, 1).model_copy(update={"step": 5, "chosen_length": 9, "domain": "algebra"})
    part = Plain(even=("domain", "position", "difficulty", "length"))
    assert part.classes(row) == ("algebra", "4-7", "3", "chosen longer")
    shared = row.model_dump(include=set(KTORow.model_fields))
    unpaired = KTORow.model_validate({**shared, "completion": "abc", "label": True})
    assert KTO(even=("outcome", "length")).classes(unpaired) == ("True", "2")
    assert KTO().most_of_a_class == 1e9


def test_classes_of_position_and_length() -> None:
    places = [position_class(i) for i in (None, 0, 1, 2, 3, 4, 7, 8)]
    assert places == ["None", "0", "1", "2-3", "2-3", "4-7", "4-7", "8-15"]
    assert length_class(10, 10) == "alike"
    assert length_class(12, 10) == "chosen longer"
    assert length_class(10, 12) == "chosen shorter"
