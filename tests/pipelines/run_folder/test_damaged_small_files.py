"""Small files of a run folder that hold something else: one line, whichever command reads them."""

from pathlib import Path

import pytest

from stepforge.labelers import ChangePoint
from stepforge.pipelines.progress.status import run_status
from stepforge.pipelines.review.queue import read_queue
from stepforge.pipelines.run_folder.pooled_rates import committed_rates
from stepforge.pipelines.storage.checksummed import write_checksummed
from stepforge.pipelines.storage.layout import Layout
from stepforge.schemas.errors import RunFailed

RUN = 'generate = [{ kind = "sequence" }]\nengine = { kind = "scripted" }\nlabel = [{ kind = "math_shepherd" }]\n'


@pytest.mark.parametrize("content", ["", "[]", "{", '{"items": [1], "solutions": 1}'])
def test_a_review_queue(tmp_path: Path, content: str) -> None:
    (tmp_path / "review").mkdir()
    (tmp_path / "review" / "queue.json").write_text(content)
    with pytest.raises(RunFailed, match=r"queue.json: damaged.*--again"):
        read_queue(Layout(tmp_path))


@pytest.mark.parametrize("content", ["", "[]", "{}", "[" * 100_000])
def test_a_rule(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.toml").write_text(RUN)
    (tmp_path / "rule.json").write_text(content)
    with pytest.raises(RunFailed, match=r"rule.json: damaged.*relabel"):
        run_status(tmp_path)


@pytest.mark.parametrize("content", [{}, {"rates": 1}, {"rates": {"other": 1}}])
def test_rates(tmp_path: Path, content: dict[str, object]) -> None:
    write_checksummed(tmp_path / "rates.json", {"run": "x", **content})
    with pytest.raises(RunFailed, match=r"rates.json: not rates of this version"):
        committed_rates(ChangePoint(), Layout(tmp_path), "x")
