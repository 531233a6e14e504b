"""Words in strings that lie one after the other in memory."""

import pyarrow as pa
import pytest

from stepforge.pipelines.viewer.text_search import _holding, _Strings, words_of

TEXTS = ["Ada has", " 3 stamps", "", "stamps, STAMPS", "Ärger", "hass", "äRGERLICH"]


@pytest.mark.parametrize(
    ("word", "places"),
    [("stamps", [1, 3]), ("STAMP", [1, 3]), ("has 3", []), ("has", [0, 5]), ("ärger", [4, 6]), ("nowhere", [])],
)
@pytest.mark.parametrize("first", [0, 1, 4])
def test_a_word_is_found_where_it_stands_whole(word: str, places: list[int], first: int) -> None:
    strings = _Strings(pa.array(TEXTS).slice(first))
    assert _holding(strings, word).tolist() == [place - first for place in places if place >= first]


def test_nothing_is_found_in_no_strings() -> None:
    assert _holding(_Strings(pa.array([], pa.string())), "a").tolist() == []


def test_quotes_make_phrases() -> None:
    assert words_of('term "find the" 3') == ("term", "find the", "3")
