"""What a publication sends, changes and leaves alone on the Hub."""

import subprocess
from pathlib import Path

import pytest
from hub_setup import REPO, dataset_of, holds_exactly, published
from loopback_hub import Fault, LoopbackHub
from loopback_repo import Commit, File
from small_run import small_run

from stepforge.schemas.errors import BadInput, RunFailed


def test_the_first_publication_is_private_whole_and_tagged(run: Path, hub: LoopbackHub) -> None:
    said = published(run)
    repo = hub.repos[REPO]
    assert repo.private
    assert holds_exactly(repo.main, dataset_of(run))
    assert hub.commits_sent == 1
    assert repo.tags == {"v1": repo.branches["main"]}
    assert "to be created, private" in said
    assert "33 new, 0 changed, 0 removed" in said
    assert f"published {REPO} v1: {hub.address}" in said


def test_the_list_of_checksums_is_one_that_sha256sum_reads(run: Path, hub: LoopbackHub, tmp_path: Path) -> None:
    published(run)
    for path, file in hub.repos[REPO].main.files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(file.content)
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True)


def test_publishing_twice_makes_no_commit_and_asks_nothing(run: Path, hub: LoopbackHub) -> None:
    published(run)
    sent, blobs = hub.commits_sent, len(hub.uploads)

    def agree() -> None:
        raise AssertionError("asked although there is nothing to do")

    said = published(run, agree=agree)
    assert (hub.commits_sent, len(hub.uploads)) == (sent, blobs)
    assert "none, everything is up to date" in said
    assert all(method in ("GET", "HEAD") for method, _ in hub.calls[-5:])


def test_a_new_version_is_one_commit_that_says_what_changed(run: Path, larger: Path, hub: LoopbackHub) -> None:
    published(run)
    said = published(larger)
    repo = hub.repos[REPO]
    assert hub.commits_sent == 2
    assert repo.tags["v2"] == repo.branches["main"] != repo.tags["v1"]
    assert holds_exactly(repo.main, dataset_of(larger))  # so what is no more was removed
    assert repo.main.title == "v2: 0 new, 29 changed, 2 removed"
    for text in (said, repo.main.description):
        assert "removed: step_preference/train-00000-of-00001.parquet" in text
        assert "changed: stepwise/train-00000-of-00001.parquet (" in text
        assert "24 train + 8 test rows" in text


def test_files_of_every_kind_that_are_no_more_are_removed(tmp_path: Path, hub: LoopbackHub) -> None:
    kinds = ("stepwise", "prm800k", "step_advantages", {"kind": "rl_prompts", "layout": "verifiers"})
    first = small_run(tmp_path / "first", problems=4, exports=kinds).folder
    second = small_run(tmp_path / "second", problems=2, exports=("stepwise",)).folder
    there = set(dataset_of(first).files)
    assert {"traces/00007.jsonl", "step_advantages/traces.jsonl", "rl_prompts/__init__.py"} <= there
    published(first)
    published(second)
    assert holds_exactly(hub.repos[REPO].main, dataset_of(second))


def test_others_data_are_not_mixed_with_ours(run: Path, hub: LoopbackHub) -> None:
    published(run)
    repo = hub.repos[REPO]
    foreign = {**repo.main.files, "stepwise/train-00009-of-00010.parquet": File(b"x", lfs=True)}
    repo.add("main", Commit(foreign, repo.branches["main"], "by hand"))
    with pytest.raises(BadInput, match="not from stepforge"):
        published(run)


def test_a_list_of_checksums_makes_nothing_of_others_ours(run: Path, larger: Path, hub: LoopbackHub) -> None:
    """A line in SHA256SUMS does not make a LICENSE ours, nor a figure that was changed since."""
    published(run)
    repo = hub.repos[REPO]
    theirs = {"LICENSE": File(b"MIT", lfs=False), "figures/old.svg": File(b"new", lfs=False)}
    gone = {"figures/gone.svg": File(b"gone", lfs=False)}
    sums = repo.main.files["SHA256SUMS"].content.decode()
    sums += f"{theirs['LICENSE'].sha256}  LICENSE\n{'0' * 64}  figures/old.svg\n"
    sums += f"{gone['figures/gone.svg'].sha256}  figures/gone.svg\n"
    files = {**repo.main.files, **theirs, **gone, "SHA256SUMS": File(sums.encode(), lfs=False)}
    repo.add("main", Commit(files, repo.branches["main"], "by hand"))
    said = published(larger)
    assert {path: repo.main.files.get(path) for path in (*theirs, *gone)} == {**theirs, "figures/gone.svg": None}
    assert "kept, not from stepforge: LICENSE" in said


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_repository_that_turns_public_is_noticed(run: Path, larger: Path, hub: LoopbackHub, moment: str) -> None:
    published(run)
    repo, commits = hub.repos[REPO], hub.commits_sent

    def reveal() -> None:
        repo.private = False

    def on_commit(method: str, path: str) -> None:
        if path.endswith("/commit/main"):
            reveal()

    if moment == "after":
        hub.on_call = on_commit
    with pytest.raises(RunFailed, match="is no longer private; " + ("nothing was" if moment == "before" else "commit")):
        published(larger, agree=reveal if moment == "before" else lambda: None)
    assert hub.commits_sent == commits + (moment == "after")
    assert "v2" not in repo.tags


@pytest.mark.parametrize("tag", ["v07", "v0", "v\N{ARABIC-INDIC DIGIT SEVEN}", "v9-draft"])
def test_a_tag_of_another_form_is_no_version(run: Path, larger: Path, hub: LoopbackHub, tag: str) -> None:
    published(run)
    hub.repos[REPO].tags[tag] = hub.repos[REPO].tags["v1"]
    assert f"published {REPO} v2: {hub.address}" in published(larger)


def test_a_missing_tag_is_set_without_a_commit(run: Path, hub: LoopbackHub) -> None:
    published(run)
    hub.repos[REPO].tags.clear()
    published(run)
    assert hub.repos[REPO].tags == {"v1": hub.repos[REPO].branches["main"]}
    assert hub.commits_sent == 1


def test_public_is_asked_for_and_comes_last(run: Path, hub: LoopbackHub) -> None:
    published(run, public=True)
    assert not hub.repos[REPO].private
    assert hub.calls[-1] == ("PUT", f"/api/datasets/{REPO}/settings")
    with pytest.raises(BadInput, match="is public; pass --public"):
        published(run)
    assert "none, everything is up to date" in published(run, public=True)


def test_public_needs_known_licenses(tmp_path: Path, hub: LoopbackHub) -> None:
    folder = small_run(tmp_path / "run", problems=4, license=None).folder
    with pytest.raises(BadInput, match="license of my_problems is unknown"):
        published(folder, public=True)
    assert hub.calls == []
    assert "my_problems: UNKNOWN" in published(folder)
    published(folder, public=True, accept_unknown_license=True)
    assert not hub.repos[REPO].private


def test_a_commit_of_somebody_else_in_between_is_not_overwritten(run: Path, larger: Path, hub: LoopbackHub) -> None:
    published(run)
    repo = hub.repos[REPO]

    def agree() -> None:
        repo.add(
            "main", Commit({**repo.main.files, "NOTES.md": File(b"n", lfs=False)}, repo.branches["main"], "theirs")
        )

    with pytest.raises(RunFailed, match="main has changed since the plan was made"):
        published(larger, agree=agree)
    assert repo.main.title == "theirs"
    assert "kept, not from stepforge: NOTES.md" in published(larger)
    assert repo.main.title.startswith("v2")


def test_a_lost_answer_is_not_taken_for_somebody_elses_commit(run: Path, larger: Path, hub: LoopbackHub) -> None:
    """The Hub fails the commit while somebody else commits: the next attempt must see that main is not ours."""
    published(run)
    repo = hub.repos[REPO]

    def meanwhile(method: str, path: str) -> None:
        if path.endswith("/commit/main"):
            repo.add("main", Commit(dict(repo.main.files), repo.branches["main"], "theirs"))
            hub.fault = Fault("500", at=len(hub.calls))

    hub.on_call = meanwhile
    with pytest.raises(RunFailed, match="main has changed"):
        published(larger)
    assert repo.main.title == "theirs"


def test_more_files_than_a_listing_has_on_a_page_are_one_commit(
    tmp_path: Path, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepforge.pipelines.datasets.shard_parts.BATCH_ROWS", 1)
    monkeypatch.setattr("stepforge.pipelines.datasets.splits.FILE_BYTES", 1)
    monkeypatch.setattr("loopback_hub.PAGE", 8)
    folder = small_run(tmp_path / "run", problems=8, exports=("stepwise",)).folder
    local = dataset_of(folder)
    assert len(local.files) > 2 * 8
    published(folder)
    repo = hub.repos[REPO]
    assert hub.commits_sent == 1
    assert holds_exactly(repo.main, local)
    assert sorted(hub.uploads) == sorted({f.sha256 for f in repo.main.files.values() if f.lfs})  # each blob once
    assert "none, everything is up to date" in published(folder)
