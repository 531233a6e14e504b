"""Every call of a publication fails, once or from then on, in every way: main is never partial, the same command goes
on with what is missing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_setup import REPO, dataset_of, holds_exactly, never_partial, quick_hub
from loopback_hub import FAULTS, Fault, LoopbackHub
from small_run import small_run

from stepforge.pipelines.publishing.endpoint import use_our_client
from stepforge.pipelines.publishing.hub import HubRepo
from stepforge.pipelines.publishing.hub_token import find_token
from stepforge.pipelines.publishing.local_dataset import LocalDataset
from stepforge.pipelines.publishing.plan import Plan, PublishRequest
from stepforge.pipelines.publishing.publication import carry_out
from stepforge.schemas.errors import BadInput, RunFailed

FROM_NOTHING, FROM_ANOTHER = "from nothing", "from another version"
SILENCE = 0.05
"""Seconds until a silent Hub counts as timed out, where it is made silent."""


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalDataset, LocalDataset]:
    """Two versions of five and four files; from one to the other two files are removed, one is new, three change."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stepforge.pipelines.datasets.shard_parts.BATCH_ROWS", 1)
        patch.setattr("stepforge.pipelines.datasets.splits.FILE_BYTES", 1)
        first = small_run(tmp_path_factory.mktemp("first"), problems=8, exports=("stepwise",)).folder
        second = small_run(tmp_path_factory.mktemp("second"), problems=4, exports=("stepwise",)).folder
    assert isinstance(first, Path)
    assert isinstance(second, Path)
    return dataset_of(first), dataset_of(second)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    with quick_hub(monkeypatch) as hub:
        hub.stall = 2 * SILENCE
        yield hub


def publish_once(hub: LoopbackHub, local: LocalDataset) -> None:
    """What ``publish`` does behind its checks of the run folder."""
    token = find_token()
    assert token is not None
    use_our_client(hub.address)
    repo = HubRepo(REPO, hub.address, token, lambda line: None)
    plan = Plan(PublishRequest(REPO), local, repo.look())
    plan.check()
    if plan.writes or plan.tag or plan.reveals:
        carry_out(plan, repo, "a test", lambda line: None)


def forget(hub: LoopbackHub) -> None:
    hub.repos.clear()
    hub.blobs.clear()
    hub.calls.clear()
    hub.uploads.clear()
    hub.fault = None


def calls_of(hub: LoopbackHub, way: str, versions: tuple[LocalDataset, LocalDataset]) -> int:
    """Return how many calls a publication takes that nothing disturbs."""
    forget(hub)
    if way == FROM_ANOTHER:
        publish_once(hub, versions[0])
    before = len(hub.calls)
    publish_once(hub, versions[1])
    return len(hub.calls) - before


def check_fault(
    hub: LoopbackHub, way: str, versions: tuple[LocalDataset, LocalDataset], fault: Fault, patch: pytest.MonkeyPatch
) -> bool:
    """Disturb a publication, then repeat it undisturbed; return whether the disturbed one went well."""
    first, second = versions
    forget(hub)
    if way == FROM_ANOTHER:
        publish_once(hub, first)
    hub.fault = Fault(fault.kind, len(hub.calls) + fault.at, fault.lasting)
    with patch.context() as silent:
        if fault.kind == "timeout":
            silent.setattr("stepforge.pipelines.publishing.endpoint.ANSWER_SECONDS", SILENCE)
        try:
            publish_once(hub, second)
            went_well = True
        except (BadInput, RunFailed) as error:
            assert len(str(error).splitlines()) == 1
            went_well = False
    hub.fault = None
    # One failure is lived through, but for a refusal; a busy machine may be slower than a short patience.
    assert went_well or fault.lasting or fault.kind in ("412", "timeout")
    there = set(hub.blobs)
    assert REPO not in hub.repos or never_partial(hub.repos[REPO], first, second)

    hub.uploads.clear()
    publish_once(hub, second)
    repo = hub.repos[REPO]
    assert not there & set(hub.uploads)  # only what was missing was sent
    assert never_partial(repo, first, second)
    assert holds_exactly(repo.main, second)
    versions_there = 2 if way == FROM_ANOTHER else 1
    assert len(repo.main_history) == 1 + versions_there  # no commit was made twice
    assert repo.tags[f"v{versions_there}"] == repo.branches["main"]
    commits = hub.commits_sent
    publish_once(hub, second)
    assert hub.commits_sent == commits
    return went_well


@pytest.mark.parametrize("kind", FAULTS)
def test_a_hub_that_fails_from_the_nth_call_on(
    hub: LoopbackHub, versions: tuple[LocalDataset, LocalDataset], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every fifth call; all of them in the slow test below."""
    calls = calls_of(hub, FROM_NOTHING, versions)
    assert calls > 15
    went_well = [
        check_fault(hub, FROM_NOTHING, versions, Fault(kind, n, lasting=True), monkeypatch)
        for n in range(1, calls + 1, 5)
    ]
    assert not all(went_well)


@pytest.mark.slow
@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("way", [FROM_NOTHING, FROM_ANOTHER])
def test_every_nth_call_in_every_way(
    hub: LoopbackHub,
    versions: tuple[LocalDataset, LocalDataset],
    way: str,
    kind: str,
    lasting: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = calls_of(hub, way, versions)
    for n in range(1, calls + 1):
        check_fault(hub, way, versions, Fault(kind, n, lasting), monkeypatch)
