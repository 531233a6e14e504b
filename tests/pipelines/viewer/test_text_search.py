"""Words in the strings of a shard."""

import polars as pl
import pytest

from stepforge.pipelines.viewer.text_search import rows_with, strings_at, words_of

ROWS = [["Ada has", " 3 stamps"], [], ["stamps, STAMPS"], ["Ärger", ""], ["hass"], [], ["äRGERLICH"]]
PATH = "solutions.list.element.steps.list.element.text"


@pytest.mark.parametrize(
    ("word", "rows"),
    [("stamps", [0, 2]), ("STAMP", [0, 2]), ("has 3", []), ("has", [0, 4]), ("ärger", [3, 6]), ("nowhere", [])],
)
@pytest.mark.parametrize("first", [0, 1, 4])
def test_a_row_is_found_by_a_word_that_one_of_its_strings_holds_whole(word: str, rows: list[int], first: int) -> None:
    flat = strings_at(pl.DataFrame({"steps": ROWS[first:]}), "steps.list.element")
    nested = [[{"steps": [{"text": text}]} for text in row] for row in ROWS]
    deep = strings_at(pl.DataFrame({"solutions": nested[first:]}), PATH)
    expected = {row - first for row in rows if row >= first}
    assert set(rows_with(flat, word)) == set(rows_with(deep, word)) == expected


def test_nothing_is_found_in_no_strings() -> None:
    none = pl.DataFrame({"id": []}, schema={"id": pl.String})
    assert not len(rows_with(strings_at(none, "id"), "a"))


def test_quotes_make_phrases() -> None:
    assert words_of('term "find the" 3') == ("term", "find the", "3")
