"""Copies of questions over a whole run."""

from pathlib import Path

import pytest
from fakes import shards_of

from stepforge.pipelines.run.duplicates import duplicate_questions
from stepforge.schemas.errors import RunFailed


def test_the_first_in_shard_order_is_the_owner(tmp_path: Path) -> None:
    questions = [["What is 1?", "What is 2?"], [], ["what  is 1?", "What is 3?", "What is 2?"], ["WHAT IS 1?\n"]]
    assert duplicate_questions(shards_of(tmp_path, questions)) == {"2-0": "0-0", "2-2": "0-1", "3-0": "0-0"}


def test_nothing_asked_or_nothing_twice_is_no_copy(tmp_path: Path) -> None:
    assert duplicate_questions([]) == {}
    assert duplicate_questions(shards_of(tmp_path, [["a?", "b?"], ["c?"]])) == {}


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    (path,) = shards_of(tmp_path, [["a?", "b?"]])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RunFailed, match=path.name):
        duplicate_questions([path])
