"""Copies of questions over a whole run."""

from pathlib import Path

from fakes import shards_of

from stepforge.pipelines.run.duplicates import duplicate_questions


def test_the_first_in_shard_order_is_the_owner(tmp_path: Path) -> None:
    questions = [["What is 1?", "What is 2?"], [], ["what  is 1?", "What is 3?", "What is 2?"], ["WHAT IS 1?\n"]]
    assert duplicate_questions(shards_of(tmp_path, questions)) == {"2-0": "0-0", "2-2": "0-1", "3-0": "0-0"}
