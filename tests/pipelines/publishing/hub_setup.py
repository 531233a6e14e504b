"""Publishing to a loopback Hub from within the test's process, without waiting."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub.utils import disable_progress_bars
from loopback_hub import TOKEN, LoopbackHub, loopback_hub
from loopback_repo import Commit, Repo

from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.publishing.local_dataset import LocalDataset, read_dataset
from stepforge.pipelines.publishing.plan import PublishRequest
from stepforge.pipelines.publishing.publication import Talk, publish
from stepforge.pipelines.storage.store import AnyPath

REPO = "my-org/step-labels"
PATIENCE = 20.0
"""Seconds after which a silent Hub counts as timed out; many, because test machines are busy."""


@contextmanager
def quick_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """Give a Hub that the environment names, with no pauses between attempts."""
    with loopback_hub() as hub, disable_progress_bars():
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(sleep=lambda _: None, time=time.time))
        monkeypatch.setattr("stepforge.pipelines.publishing.hub_calls.PAUSES", (0.0, 0.0, 0.0))
        monkeypatch.setattr("stepforge.pipelines.publishing.endpoint.ANSWER_SECONDS", PATIENCE)
        yield hub


def published(
    folder: AnyPath,
    *,
    agree: Callable[[], None] = lambda: None,
    dry_run: bool = False,
    repo: str = REPO,
    **wishes: object,
) -> str:
    """Publish and return everything that was said."""
    said: list[str] = []
    publish(folder, PublishRequest(repo, **wishes), Talk(said.append, said.append, agree), dry_run=dry_run)  # type: ignore[arg-type]
    return "\n".join(said)


def dataset_of(folder: Path) -> LocalDataset:
    """Return the data set that a run folder would publish."""
    run, layout = open_run(folder)
    return read_dataset(run, layout, folder / "datasets", token=None)


def holds_exactly(commit: Commit, local: LocalDataset) -> bool:
    """Does a commit hold the files of a data set and nothing else?"""
    there = {path: file.sha256 for path, file in commit.files.items() if path != ".gitattributes"}
    return there == {path: file.sha256 for path, file in local.files.items()}


def never_partial(repo: Repo, *versions: LocalDataset) -> bool:
    """Was main at all times empty, or one of these data sets whole?"""
    return all(
        commit.files.keys() == {".gitattributes"} or any(holds_exactly(commit, local) for local in versions)
        for commit in repo.main_history
    )
