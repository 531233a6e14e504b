"""A run folder that came from somebody else: every command ends soon with one line, and nothing outside is touched.

Each attack is tried on the commands below; `view` and `review` read a folder through the same code.
"""

import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from folder_attacks import ATTACKS, LINK, PIPE
from small_run import small_run
from typer.testing import CliRunner

from stepforge.cli import app
from stepforge.pipelines.terminal.output import visible

CANARY = "canary-3f1c"
SECONDS = 60
"""Longest that one command may take before it counts as hung."""
LOOKING = (["status"], ["report"], ["show", "problem-0"], ["publish", "--repo", "my-org/x", "--dry-run"])
WRITING = (["export"], ["relabel", "--rule", "hard"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("whole"), problems=4, exports=("stepwise",)).folder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Somebody's files beside the run folder."""
    folder = tmp_path / "outside"
    (folder / "folder" / "deeper").mkdir(parents=True)
    for name in ("secret.txt", "folder/secret.txt", "folder/part-00000.parquet", "folder/deeper/run.toml"):
        (folder / name).write_text(CANARY)
    return folder


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return the contents by name, without following links or waiting for pipes."""
    found = {}
    for path in folder.rglob("*"):
        plain = path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 22
        found[str(path)] = (path.lstat().st_mode, path.read_bytes() if plain else b"")
    return found


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    def hung(*_: object) -> None:
        raise AssertionError("hangs")

    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def command(run: Path, words: list[str]) -> str:
    """Return the output of a command that must end in an orderly way."""
    with at_most(SECONDS):
        result = CliRunner().invoke(app, [words[0], str(run), *words[1:]])
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    complaints = [line for line in result.output.splitlines() if line.startswith("stepforge: ")]
    if result.exit_code:
        assert result.exit_code in (1, 2)
        assert result.output.splitlines()[-1] in complaints
    assert visible(result.output) == result.output
    assert CANARY not in result.output
    return result.output


def test_there_are_many_attacks(tell: Callable[[str], None]) -> None:
    commands = len(LOOKING) + len(WRITING)
    tell(f"received folders: {len(ATTACKS)} attacks on {commands} commands each")
    assert len(ATTACKS) >= 60


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_harms_nobody(whole: Path, outside: Path, tmp_path: Path, name: str) -> None:
    attack, line = ATTACKS[name]
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    attack(run, outside)
    before, inside = state(outside), state(run)
    said = [command(run, words) for words in LOOKING if words != ["report"]]
    assert state(run) == inside, "a looking command wrote"
    said += [command(run, words) for words in (["report"], *WRITING)]
    assert any(line in text for text in said), said
    assert state(outside) == before
    if line in (LINK, PIPE):
        assert all(line in text for text in said), said
        assert state(run) == inside


def test_an_untouched_folder_passes(whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    said = [command(run, words) for words in (*LOOKING, *WRITING)]
    assert [text for text in said if "stepforge: " in text] == []
