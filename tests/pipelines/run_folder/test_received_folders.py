"""A run folder that came from somebody else: every command ends soon with one line, and nothing outside is touched.

Each attack is tried on every command that takes a run folder.
"""

import json
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from small_run import labeled, small_run
from typer.testing import CliRunner

from stepforge.cli import app
from stepforge.pipelines.datasets.stamp import stamp_of_text
from stepforge.pipelines.reports.card.kept import Card
from stepforge.pipelines.storage.checksummed import read_checksummed, write_checksummed
from stepforge.pipelines.storage.kept import Kept, kept_rows
from stepforge.pipelines.storage.shards import shard_metadata, write_shard
from stepforge.pipelines.terminal.output import visible
from stepforge.schemas.labeled import LabeledProblem

CANARY = "canary-3f1c"
SECONDS = 60
"""Longest that one command may take before it counts as hung."""
LOOKING = (["status"], ["report"], ["show", "problem-0"], ["publish", "--repo", "my-org/x", "--dry-run"])
WRITING = (["export"], ["relabel", "--rule", "hard"], ["publish", "--repo", "my-org/x", "--yes"])
LINK, PIPE = "a symbolic link inside a run folder", "a named pipe inside a run folder"


def linked(name: str, target: str = "secret.txt") -> Callable[[Path, Path], None]:
    """Put a link to something outside in the place of a file or folder."""

    def attack(run: Path, outside: Path) -> None:
        place = cleared(run / name)
        place.symlink_to(target if target.startswith("/") else outside / target)

    return attack


def pipe(name: str) -> Callable[[Path, Path], None]:
    return lambda run, outside: os.mkfifo(cleared(run / name))


def cleared(place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    return place


def text(name: str, content: str) -> Callable[[Path, Path], None]:
    return lambda run, outside: void(cleared(run / name).write_text(content))


def void(_: object) -> None:
    pass


def loop(run: Path, outside: Path) -> None:
    (run / "loop").symlink_to("loop")


def unix_socket(run: Path, outside: Path) -> None:
    short = outside.parent / "s"  # the address of a socket is short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(short))
    short.rename(cleared(run / ".lock"))


def hard_link(name: str) -> Callable[[Path, Path], None]:
    return lambda run, outside: os.link(outside / "secret.txt", cleared(run / name))


def sparse(name: str) -> Callable[[Path, Path], None]:
    return lambda run, outside: os.truncate(open_new(run / name), 65 << 20)


def open_new(path: Path) -> Path:
    cleared(path).touch()
    return path


def checked(name: str, **changes: Any) -> Callable[[Path, Path], None]:
    """Write a file with a checksum that fits, and other content."""

    def attack(run: Path, outside: Path) -> None:
        path = run / name
        before = read_checksummed(path) if path.exists() else {}
        write_checksummed(path, {**before, **changes})

    return attack


def progress(**changes: Any) -> Callable[[Path, Path], None]:
    told = {"written": 1.0, "elapsed": 1.0, "shards": 1, "stages": {}, **changes}
    return text("progress.json", json.dumps(told))


ROWS = [labeled(number) for number in range(4)]


def rewrite(run: Path, rows: list[LabeledProblem], **changes: Any) -> None:
    """Write another first shard of labels, and what curation makes of it, as a run would have stamped them."""
    labels, curated = (run / name / "part-00000.parquet" for name in ("labeled", "curated"))
    write_shard(labels, rows, LabeledProblem, shard_metadata(labels))
    stamp = {**shard_metadata(curated), "source": shard_metadata(labels)["digest"]}
    write_shard(curated, kept_rows(rows, rows), Kept, {**stamp, "report": {**stamp["report"], **changes}})


def escapes_in_the_question(run: Path, outside: Path) -> None:
    ours = {"question": "\x1b]0;owned\x07 \u202egnp.exe \x9b2J", "domain": "\x1b[2J"}
    row = ROWS[0].model_copy(update={"problem": ROWS[0].problem.model_copy(update=ours)})
    rewrite(run, [row, *ROWS[1:]])


def escapes_in_a_reason(run: Path, outside: Path) -> None:
    rewrite(run, ROWS, rows_in=5, rejected={"\x1b[2J\u202e": 1})


def many_values(run: Path, outside: Path) -> None:
    (solution, *others) = ROWS[0].solutions
    verdict = solution.verdict.model_copy(update={"posterior": (0.5,) * 2_000_000})
    row = ROWS[0].model_copy(update={"solutions": (solution.model_copy(update={"verdict": verdict}), *others)})
    rewrite(run, [row, *ROWS[1:]])


def alias_bomb(run: Path, outside: Path) -> None:
    levels = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}' if i else 'lol'] * 10)}]" for i in range(12)]
    card = Card("---\n" + "\n".join(levels) + "\n---\n\n", "")
    (run / "datasets" / "README.md").write_text(card.text)
    made = read_checksummed(run / "card.json")
    made["files"]["README.md"] = stamp_of_text(card.rest).model_dump()
    write_checksummed(run / "card.json", made)


def settings_bomb(run: Path, outside: Path) -> None:
    (run / "run.toml").write_text("x = " + "[" * 50_000 + "]" * 50_000)


SHARD = "part-00000.parquet"
TRAIN = "datasets/stepwise/train-00000-of-00001.parquet"
FILE_LINKS = (
    ".lock", "run.toml", "plan.json", "rates.json", "progress.json", "ledger.json", "report.json", "report.html",
    "card.json", "exports/stepwise.json", "sessions/a.json", "journal/solve-00000/a.frames", f"problems/{SHARD}",
    f"curated/{SHARD}", f"rejected/curate/{SHARD}", "datasets/README.md", "datasets/more.md", TRAIN,
    "relabeled/hard/run.toml", ".report.json.tmp",
)  # fmt: skip
FOLDER_LINKS = (
    "datasets", "datasets/stepwise", "datasets/figures", "datasets/.stepwise.tmp", "exports", "sessions", "labeled",
    "curated", "rejected", "failures", "journal", "relabeled", "relabeled/hard",
)  # fmt: skip
PIPES = (
    ".lock", "run.toml", "plan.json", "report.json", "progress.json", "exports/stepwise.json", "sessions/a.json",
    "curated/part-00009.parquet", "datasets/README.md", "datasets/more.svg",
)  # fmt: skip
Attack = Callable[[Path, Path], None]
ATTACKS: dict[str, tuple[Attack, str]] = {
    **{f"link {name}": (linked(name), LINK) for name in FILE_LINKS},
    **{f"folder link {name}": (linked(name, "folder"), LINK) for name in FOLDER_LINKS},
    **{f"pipe {name}": (pipe(name), PIPE) for name in PIPES},
    "run.toml -> /dev/zero": (linked("run.toml", "/dev/zero"), LINK),
    "report.json -> /dev/zero": (linked("report.json", "/dev/zero"), LINK),
    ".lock -> a file that is not there": (linked(".lock", "new.txt"), LINK),
    "a link to itself": (loop, LINK),
    ".lock is a socket": (unix_socket, "a socket inside a run folder"),
    ".lock is a folder": (lambda run, outside: cleared(run / ".lock").mkdir(), "a folder, not a file"),
    ".lock is a second name": (hard_link(".lock"), "a second name of another file"),
    "report.json is a second name": (hard_link("report.json"), "report.json: missing or damaged"),
    "a second name among the data": (hard_link("datasets/more.md"), "more.md: not written by this run"),
    "a second name in place of data": (hard_link(TRAIN), "not made from the curated shards as they are now"),
    "a large run.toml": (text("run.toml", "#" * (1 << 20) + "\n"), "larger than 1 MiB, the limit"),
    "a nested run.toml": (settings_bomb, "run.toml: cannot be read"),
    "a large plan": (sparse("plan.json"), "larger than 64 MiB, the limit"),
    "a nested plan": (text("plan.json", "[" * 100_000), "plan.json: damaged"),
    "a plan of other things": (checked("plan.json", shards=[{"index": "x"}]), "not a plan of this version"),
    "a session of other things": (checked("sessions/a.json", began="x"), "not a session of this version"),
    "a stamp of other things": (checked("exports/stepwise.json", files=[1]), "not made from the curated shards"),
    "a stamp that leads outside": (
        checked("card.json", files={"README.md": {"size": 1, "sha256": ""}, "../x": {"size": 1, "sha256": ""}}),
        "cannot be a file of a data set",
    ),
    "a nested report": (text("report.json", "[" * 100_000), "report.json: missing or damaged"),
    "a report of other things": (text("report.json", "[]"), "report.json: missing or damaged"),
    "a date that cannot be": (progress(written=1e300, seconds_left=1e300), "finished"),
    "a snapshot with escapes": (progress(stages={"solve": {"failures": {"\x1b[2J": 1}}}), "finished"),
    "a shard with another number": (text("curated/part-1\u00b2.parquet", ""), "not a shard of this run"),
    "a shard that is no Parquet": (text(f"curated/{SHARD}", "PAR1PAR1"), "damaged shard"),
    "many values in a small shard": (many_values, "more than the limit of"),
    "escapes in a question": (escapes_in_the_question, "\\u001b]0;owned\\u0007 \\u202egnp.exe \\u009b2J"),
    "escapes in a reason": (escapes_in_a_reason, "\\u001b[2J\\u202e"),
    "aliases of aliases in the card": (alias_bomb, "README.md: does not describe"),
}  # fmt: skip


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
    """Return what there is, by name, without following links or waiting for pipes."""
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
    """Return what a command said; it ended as it should."""
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
    assert [text for text in said if "stepforge: " in text] == [said[-1]]
    assert "no Hub token" in said[-1]
