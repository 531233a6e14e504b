"""Words in strings that lie one after the other in memory."""

import pyarrow as pa
import pytest

from stepforge.pipelines.viewer.text_search import _Strings, words_of

ROWS = [["Ada has", " 3 stamps"], [], ["stamps, STAMPS"], ["Ärger", ""], ["hass"], [], ["äRGERLICH"]]
PATH = "solutions.list.element.steps.list.element.text"


@pytest.mark.parametrize(
    ("word", "rows"),
    [("stamps", [0, 2]), ("STAMP", [0, 2]), ("has 3", []), ("has", [0, 4]), ("ärger", [3, 6]), ("nowhere", [])],
)
@pytest.mark.parametrize("first", [0, 1, 4])
def test_a_row_is_found_by_a_word_that_one_of_its_strings_holds_whole(word: str, rows: list[int], first: int) -> None:
    flat = _Strings(pa.table({"steps": pa.array(ROWS).slice(first)}), "steps.list.element")
    nested = [[{"steps": [{"text": text}]} for text in row] for row in ROWS]
    deep = _Strings(pa.table({"solutions": pa.array(nested).slice(first)}), PATH)
    expected = {row - first for row in rows if row >= first}
    assert set(flat.rows_with(word).tolist()) == set(deep.rows_with(word).tolist()) == expected


def test_nothing_is_found_in_no_strings() -> None:
    none = pa.table({"id": pa.array([], pa.string())})
    assert _Strings(none, "id").rows_with("a").tolist() == []


def test_quotes_make_phrases() -> None:
    assert words_of('term "find the" 3') == ("term", "find the", "3")
