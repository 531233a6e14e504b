"""One finished run and a client that looks at it, for the tests of a file."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient
from view_runs import Looking, a_view_run, labeled_rows

from stepforge.pipelines.storage.layout import Layout
from stepforge.schemas.labeled import LabeledProblem


@pytest.fixture(scope="module")
def rows() -> list[LabeledProblem]:
    return labeled_rows()


@pytest.fixture(scope="module")
def layout(rows: list[LabeledProblem], tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return a_view_run(tmp_path_factory.mktemp("view") / "run", rows)


@pytest.fixture(scope="module")
def client(layout: Layout) -> Iterator[TestClient]:
    with Looking(layout) as client:
        yield client
