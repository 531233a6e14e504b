"""The command line of publishing, and the way back from the Hub to the rows."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import invoked, stepforge
from hub_setup import REPO, dataset_of, holds_exactly, published
from loopback_hub import TOKEN, LoopbackHub

from stepforge.schemas.errors import BadInput


def test_a_dry_run_needs_no_token_and_no_lock(
    run: Path, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    with monkeypatch.context() as unlocked:
        unlocked.setattr("stepforge.pipelines.publishing.publication.only_driver", None)
        code, said = invoked("publish", run, "--repo", REPO, "--dry-run")
    assert (code, "not checked: no Hub token" in said) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    with pytest.raises(BadInput, match="set HF_TOKEN"):
        published(run)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert invoked("publish", run, "--repo", REPO, "--dry-run")[0] == 0
    with pytest.raises(BadInput, match="HF_HUB_OFFLINE is set; unset it"):
        published(run)
    assert hub.calls == []


LOAD = """
import json, sys
from datasets import get_dataset_config_names, load_dataset
repo, folder = sys.argv[1:]
counts = {}
for name in get_dataset_config_names(repo):
    there, here = load_dataset(repo, name), load_dataset(folder, name)
    assert list(there) == list(here), (there, here)
    for split in here:
        assert there[split].features == here[split].features
        assert there[split].to_list() == here[split].to_list()
        counts[f"{name}/{split}"] = len(there[split])
print(json.dumps(counts))
"""


def test_load_dataset_finds_the_very_rows(run: Path, hub: LoopbackHub, tmp_path: Path) -> None:
    published(run)
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-c", LOAD, REPO, str(run / "datasets")]
    loaded = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert loaded.returncode == 0, loaded.stderr
    rows = dataset_of(run).rows
    expected = {f"{n}/{s}": c for n, splits in rows.items() for s, c in splits.items()}
    assert json.loads(loaded.stdout) == {**expected, "traces/train": 20}
    assert len(rows) == 3


def test_the_documented_way_back(run: Path, larger: Path, hub: LoopbackHub) -> None:
    published(run)
    published(larger)
    sent = len(hub.uploads)
    text = Path("docs/how-to/publishing.md").read_text()
    code = text[text.index("```python\nfrom huggingface_hub") + 10 :].split("```")[0]
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)
    repo = hub.repos[REPO]
    assert holds_exactly(repo.main, dataset_of(run))
    assert len(hub.uploads) == sent
    assert [commit.title.split(":")[0] for commit in repo.main_history[:3]] == ["back to v1", "v2", "v1"]
    assert "tag v3" in published(run)


@pytest.mark.slow
def test_a_run_and_its_relabeled_form(hub: LoopbackHub, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert stepforge("run", "configs/dry_run.toml", "--out", folder).returncode == 0
    assert stepforge("relabel", folder, "--rule", "posterior").returncode == 0
    relabeled = folder / "relabeled" / "posterior"
    for repo, source in ((REPO, folder), ("my-org/posterior", relabeled)):
        published(source, repo=repo, public=True)
        assert holds_exactly(hub.repos[repo].main, dataset_of(source))
    next((relabeled / "curated").glob("*.parquet")).unlink()
    with pytest.raises(BadInput, match="relabel again"):
        published(relabeled)


def test_off_a_terminal_nothing_goes_without_yes(run: Path, hub: LoopbackHub) -> None:
    code, said = invoked("publish", run, "--repo", REPO)
    assert (code, "33 new" in said, "pass --yes" in said.splitlines()[-1]) == (2, True, True)
    code, said = invoked("publish", run, "--repo", REPO, "--dry-run")
    assert (code, "stepwise/train-00000-of-00001.parquet" in said, "tag v1" in said) == (0, True, True)
    assert (hub.repos, hub.blobs) == ({}, {})
    assert invoked("publish", run, "--repo", REPO, "--yes")[0] == 0
    assert list(hub.repos) == [REPO]


@pytest.mark.parametrize("answer", ["n", "y"])
def test_on_a_terminal_it_asks(run: Path, hub: LoopbackHub, answer: str) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "stepforge", "publish", str(run), "--repo", REPO],
        stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    os.write(ours, f"{answer}\n".encode())
    listing = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    said = process.communicate(timeout=60)[0]
    os.close(ours)
    os.close(theirs)
    assert "publish this?" in said
    assert process.returncode == (0 if answer == "y" else 2), said
    assert list(hub.repos) == ([REPO] if answer == "y" else [])
    assert TOKEN not in said
    assert TOKEN.encode() not in listing


@pytest.mark.parametrize("repo", ["step-labels", "a/b/c", "my org/x", "my-org/", "../x", "my-org/x.git", "o/a--b"])
def test_a_repository_needs_a_name_that_can_be_one(run: Path, hub: LoopbackHub, repo: str) -> None:
    with pytest.raises(BadInput, match="--repo: must be ORG/NAME"):
        published(run, repo=repo)
    assert hub.calls == []
