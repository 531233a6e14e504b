"""Runs to publish, and a Hub on loopback."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_setup import quick_hub
from loopback_hub import LoopbackHub
from small_run import small_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("run")).folder


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """A copy of the run, for tests that change it."""
    return Path(shutil.copytree(run, tmp_path / "run"))


@pytest.fixture(scope="session")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("larger"), problems=16, exports=("stepwise", "preference")).folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    with quick_hub(monkeypatch) as hub:
        yield hub
