"""What somebody may have done to a run folder before handing it on, and the line that each command ends with."""

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from small_run import labeled

from stepforge.pipelines.datasets.stamp import stamp_of_text
from stepforge.pipelines.reports.card.peoples_section import Card
from stepforge.pipelines.storage.checksummed import read_checksummed, write_checksummed
from stepforge.pipelines.storage.filtered_shards import Kept, kept_rows
from stepforge.pipelines.storage.shards import METADATA_KEY, shard_metadata, write_shard
from stepforge.schemas.labeled import LabeledProblem, Verdict
from stepforge.schemas.rollout import Start, Step

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
    verdict = solution.verdict.model_copy(update={"posterior": (0.5,) * 9_000_000})
    row = ROWS[0].model_copy(update={"solutions": (solution.model_copy(update={"verdict": verdict}), *others)})
    rewrite(run, [row, *ROWS[1:]])


def other_rows(**changes: Any) -> Callable[[Path, Path], None]:
    """Rows with a first solution that does not fit together, as no run writes them."""

    def attack(run: Path, outside: Path) -> None:
        (solution, *others) = ROWS[0].solutions
        rewrite(
            run, [ROWS[0].model_copy(update={"solutions": (solution.model_copy(update=changes), *others)}), *ROWS[1:]]
        )

    return attack


def a_step_without_text(run: Path, outside: Path) -> None:
    rollout, labels = ROWS[0].solutions[0].rollout, ROWS[0].solutions[0].labels
    steps = (*rollout.steps, Step(text=""))
    other_rows(rollout=rollout.model_copy(update={"steps": steps}), labels=(*labels, None))(run, outside)


def completions_from_nowhere(run: Path, outside: Path) -> None:
    lost = ROWS[0].solutions[0].rollout.model_copy(update={"id": "e", "start": Start(rollout="x", steps=1)})
    rewrite(run, [ROWS[0].model_copy(update={"evidence": (lost,)}), *ROWS[1:]])


def a_kept_row_that_is_not_there(run: Path, outside: Path) -> None:
    path = run / "curated" / SHARD
    write_shard(path, [Kept(row=99, problem_id="problem-0")], Kept, shard_metadata(path))


def alias_bomb(run: Path, outside: Path) -> None:
    levels = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}' if i else 'lol'] * 10)}]" for i in range(12)]
    card = Card("---\n" + "\n".join(levels) + "\n---\n\n", "")
    (run / "datasets" / "README.md").write_text(card.text)
    made = read_checksummed(run / "card.json")
    made["files"]["README.md"] = stamp_of_text(card.rest).model_dump()
    write_checksummed(run / "card.json", made)


def settings_bomb(run: Path, outside: Path) -> None:
    (run / "run.toml").write_text("x = " + "[" * 50_000 + "]" * 50_000)


def other_columns(run: Path, outside: Path) -> None:
    """Labels as another version might have written them: one column more."""
    path = run / "labeled" / SHARD
    table = pq.read_table(path)
    more = table.append_column("confidence", pa.array([0.5] * table.num_rows))
    pq.write_table(more.replace_schema_metadata(table.schema.metadata), path)


def many_row_groups(run: Path, outside: Path) -> None:
    """A footer that tells of thousands of groups without a row."""
    path = run / "labeled" / SHARD
    table = pq.read_table(path)
    with pq.ParquetWriter(path, table.schema) as writer:
        writer.write_table(table)
        for _ in range(1000):
            writer.write_table(table.slice(0, 0))


def nested_metadata(run: Path, outside: Path) -> None:
    path = run / "labeled" / SHARD
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: b"[" * 100_000}), path)


def a_name_that_draws(run: Path, outside: Path) -> None:
    for folder in ("labeled", "relabeled", "sessions", "datasets"):
        (run / folder / "a\n\x1b[2J\u202e").mkdir(parents=True)


SHARD = "part-00000.parquet"
PLANNED = {"index": 0, "source": 0, "start": 0, "stop": 4}
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
    ".lock is a second name": (hard_link(".lock"), "a hard link to another file"),
    "report.json is a second name": (hard_link("report.json"), "finished"),
    "a second name among the data": (hard_link("datasets/more.md"), "more.md: not written by this run"),
    "a second name in place of data": (hard_link(TRAIN), "not made from the current curated shards"),
    "a large run.toml": (text("run.toml", "#" * (1 << 20) + "\n"), "larger than 1 MiB, the limit"),
    "a nested run.toml": (settings_bomb, "run.toml: cannot be read"),
    "a large plan": (sparse("plan.json"), "larger than 64 MiB, the limit"),
    "a nested plan": (text("plan.json", "[" * 100_000), "plan.json: damaged"),
    "a plan of other things": (checked("plan.json", shards=[{"index": "x"}]), "not a plan of this version"),
    "a session of other things": (checked("sessions/a.json", began="x"), "not a session of this version"),
    "a stamp of other things": (checked("exports/stepwise.json", files=[1]), "not made from the current"),
    "a stamp that leads outside": (
        checked("card.json", files={"README.md": {"size": 1, "sha256": ""}, "../x": {"size": 1, "sha256": ""}}),
        "cannot be a file of a data set",
    ),
    "a nested report": (text("report.json", "[" * 100_000), "finished"),
    "a report of other things": (text("report.json", "[]"), "finished"),
    "a date that cannot be": (progress(written=1e300, seconds_left=1e300), "finished"),
    "a snapshot with escapes": (progress(stages={"solve": {"failures": {"\x1b[2J": 1}}}), "finished"),
    "a shard with another number": (text("curated/part-1\u00b2.parquet", ""), "not a shard of this run"),
    "a shard that is no Parquet": (text(f"curated/{SHARD}", "PAR1PAR1"), "damaged shard"),
    "many values in a small shard": (many_values, "more than the limit of"),
    "escapes in a question": (escapes_in_the_question, "\\u001b]0;owned\\u0007 \\u202egnp.exe \\u009b2J"),
    "escapes in a reason": (escapes_in_a_reason, "\\u001b[2J\\u202e"),
    "aliases of aliases in the card": (alias_bomb, "README.md: does not describe"),
    "fewer labels than steps": (other_rows(labels=()), "are of another solution"),
    "a verdict on a step that is not there": (
        other_rows(verdict=Verdict(labeler="x", first_error=99)),
        "are of another solution",
    ),
    "a step without text": (a_step_without_text, "has no text"),
    "completions that start nowhere": (completions_from_nowhere, "starts at step 1 of x, which has none"),
    "a kept row that is not there": (a_kept_row_that_is_not_there, "names a row that the previous shard does not have"),
    "labels with other columns": (other_columns, "columns are not those of this version"),
    "a thousand row groups": (many_row_groups, "row groups"),
    "nested metadata of a shard": (nested_metadata, "damaged shard"),
    "names with line breaks and escapes": (a_name_that_draws, "finished"),
    "a plan of a billion rows": (checked("plan.json", shards=[PLANNED | {"stop": 10**9}]), "stepforge: "),
    "a plan with a shard twice": (checked("plan.json", shards=[PLANNED, PLANNED]), "stepforge: "),
    "a plan with a negative shard": (checked("plan.json", shards=[PLANNED | {"index": -1}]), "stepforge: "),
    "rates of other things": (checked("rates.json", rates=float("nan")), "finished"),
    "a ledger of other things": (text("ledger.json", '{"stages": {"solve": NaN}}'), "finished"),
    "progress that is no number": (progress(written=float("nan"), elapsed=float("inf")), "finished"),
    "a stamp named by a path": (text("exports/..json", "{}"), "finished"),
    "a report with huge numbers": (text("report.json", "1" + "0" * 5000), "finished"),
}  # fmt: skip
