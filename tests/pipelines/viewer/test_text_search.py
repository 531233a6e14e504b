"""Words in the strings of a shard."""

import pyarrow as pa
import pytest

from stepforge.pipelines.viewer.text_search import Strings, words_of

ROWS = [["Ada has", " 3 stamps"], [], ["stamps, STAMPS"], ["Ärger", ""], ["hass"], [], ["äRGERLICH"]]
PATH = "solutions.list.element.steps.list.element.text"


@pytest.mark.parametrize(
    ("word", "rows"),
    [("stamps", [0, 2]), ("STAMP", [0, 2]), ("has 3", []), ("has", [0, 4]), ("ärger", [3, 6]), ("nowhere", [])],
)
@pytest.mark.parametrize("first", [0, 1, 4])
def test_a_row_is_found_by_a_word_that_one_of_its_strings_holds_whole(word: str, rows: list[int], first: int) -> None:
    flat = Strings.at(pa.table({"steps": pa.array(ROWS).slice(first)}), "steps.list.element")
    nested = [[{"steps": [{"text": text}]} for text in row] for row in ROWS]
    deep = Strings.at(pa.table({"solutions": pa.array(nested).slice(first)}), PATH)
    expected = {row - first for row in rows if row >= first}
    assert set(flat.rows_with(word)) == set(deep.rows_with(word)) == expected


def test_nothing_is_found_in_no_strings() -> None:
    none = pa.table({"id": pa.array([], pa.string())})
    assert not len(Strings.at(none, "id").rows_with("a"))


def test_quotes_make_phrases() -> None:
    assert words_of('term "find the" 3') == ("term", "find the", "3")
