"""Runs to publish, and a Hub on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_setup import quick_hub
from loopback_hub import LoopbackHub
from small_run import small_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("run")).folder


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("larger"), problems=16, exports=("stepwise", "preference")).folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    with quick_hub(monkeypatch) as hub:
        yield hub
