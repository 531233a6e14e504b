"""A labeled run to review."""

from pathlib import Path

import pytest
from view_runs import a_view_run, labeled_rows

from stepforge.pipelines.storage.layout import Layout
from stepforge.schemas.labeled import LabeledProblem


@pytest.fixture(scope="session")
def rows() -> list[LabeledProblem]:
    return labeled_rows(12)


@pytest.fixture
def layout(rows: list[LabeledProblem], tmp_path: Path) -> Layout:
    return a_view_run(tmp_path / "run", rows)
