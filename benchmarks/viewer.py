"""How fast the viewer answers on a large run, and what memory it takes.

    python -m benchmarks.viewer --problems 1000000 --out runs/large

Writes a run of that many problems once, with all their evidence: a shard of 4,096, made of 64 of the scripted engine,
each with an id and a question of its own, copied; the last shard has ids that no other has. Then starts
`stepforge view` on it as a process, and asks it as a browser would. Beside the wall clock stands the processor time
that the process took, which other work on the machine does not change.
"""

import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Self

import httpx
import pyarrow as pa
import typer

from benchmarks.scripted_problems import scripted_problems
from stepforge.pipelines.settings.run_settings import read_run_file
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import ShardMetadata, write_table
from stepforge.pipelines.storage.store import write_text
from stepforge.schemas.arrow import to_table
from stepforge.schemas.labeled import LabeledProblem

DISTINCT, PER_SHARD = 64, 4096
"""Problems that differ in more than id and question; problems in a shard, in row groups of 1024."""


def write_large_run(target: Layout, problems: int) -> None:
    """Write the run, but for the shards that are there already."""
    if len(target.shards("label")) * PER_SHARD >= problems:
        return
    base = to_table(scripted_problems(min(DISTINCT, problems), seed=3), LabeledProblem)
    whole = pa.concat_tables([base] * -(-PER_SHARD // base.num_rows)).slice(0, PER_SHARD).combine_chunks()
    target.folder.mkdir(parents=True, exist_ok=True)
    write_text(target.run_file, read_run_file(Path("configs/dry_run.toml"), []).toml())
    shards = range(-(-problems // PER_SHARD))
    for shard in (shards[0], shards[-1]):
        count = min(PER_SHARD, problems - shard * PER_SHARD)
        # no shard number: it is copied under others
        report = ShardMetadata(run="large", digest=str(shard), rows=count)
        write_table(target.shard("label", shard), renamed(whole.slice(0, count), shard), report)
    for shard in shards[1:-1]:
        shutil.copyfile(str(target.shard("label", 0)), str(target.shard("label", shard)))


def renamed(table: pa.Table, shard: int) -> pa.Table:
    """Return the rows with ids and questions of their own, numbered on from the shards before."""
    problem = table["problem"].combine_chunks()
    names = [problem.type.field(i).name for i in range(problem.type.num_fields)]
    fields = [problem.field(name) for name in names]
    numbers = [shard * PER_SHARD + i for i in range(table.num_rows)]
    fields[names.index("id")] = pa.array([f"problem-{n:07d}" for n in numbers])
    questions = problem.field("question").to_pylist()
    fields[names.index("question")] = pa.array([f"{q} (Case {n}.)" for q, n in zip(questions, numbers, strict=True)])
    place = table.schema.get_field_index("problem")
    field = table.schema.field(place)
    return table.set_column(place, field, pa.StructArray.from_arrays(fields, fields=list(field.type)))


class Served:
    """`stepforge view` as a process."""

    def __init__(self, folder: Path, *options: str, token: str = "") -> None:
        self.token = token or secrets.token_urlsafe(16)
        command = [sys.executable, "-m", "stepforge", "view", str(folder), "--no-browser", *options]
        environment = os.environ | {"STEPFORGE_TOKEN": self.token, "PYTHONUNBUFFERED": "1"}
        self.began = time.perf_counter()
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline() if self.process.stdout else ""
        self.address = line.strip().partition("/?")[0]
        self.client = httpx.Client(base_url=self.address, timeout=120)
        self.client.headers["Authorization"] = f"Bearer {self.token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.communicate()
        self.client.close()

    def timed(self, path: str) -> tuple[float, str]:
        began = time.perf_counter()
        answer = self.client.get(path).raise_for_status().text
        return time.perf_counter() - began, answer

    def memory(self, what: str) -> float:
        """Return a figure of /proc/PID/status in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(rf"{what}:\s+(\d+) kB", status)[0]) / 1000

    def cpu(self) -> float:
        """Return the seconds of processor time that the process has taken."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def until_read(self) -> float:
        """Wait until all shards were read, and return the seconds since the start."""
        while self.client.get("/state").json()["waiting"]:
            time.sleep(0.2)
        return time.perf_counter() - self.began


def _status(page: str) -> str:
    return re.sub(r"<[^>]+>", "", page.partition('role="status">')[2].partition("</p>")[0]).strip()


def _finished(served: Served, path: str) -> tuple[float, str]:
    """Ask until the whole run was searched, as an open page does."""
    began = time.perf_counter()
    while True:
        page = served.timed(path)[1]
        if "so far" not in page:
            return time.perf_counter() - began, page


def main(out: Annotated[Path, typer.Option()], problems: int = 1_000_000) -> None:
    target = Layout(out)
    write_large_run(target, problems)
    shards = target.shards("label")
    size = sum(path.stat().st_size for path in shards if isinstance(path, Path))
    print(f"{problems:,} problems in {len(shards)} shards, {size / 1e9:.2f} GB\n")
    print(f"{'':40}{'wall':>8}  {'processor':>8}")
    with Served(out) as served:

        def tell(name: str, wall: float, before: float, more: str = "") -> None:
            print(f"{name:40}{wall:8.2f} s{served.cpu() - before:8.2f} s   {more}", flush=True)

        tell("the process answers after", time.perf_counter() - served.began, 0.0)
        before = served.cpu()
        first, page = served.timed("/")
        tell("first page, nothing read before", first, before, _status(page))
        tell("all problems are known after", served.until_read(), 0.0)
        middle, last = len(shards) // 2, problems - 1
        for name, path in {
            "first page": "/",
            "the last page": f"/?page={-(-problems // 50)}",
            "least sure first": "/?sort=uncertainty",
            "labelers disagree on a wrong step": "/?verdict=wrong_step&disagree=1",
            "a problem in the middle": f"/problem/label/{middle}/17",
            "its tree": f"/problem/label/{middle}/17/tree",
            "search, a common word: first page": "/?q=stamps",
        }.items():
            before = served.cpu()
            tell(name, served.timed(path)[0], before)
        before = served.cpu()
        taken, page = _finished(served, f"/?q=problem-{last:07d}")
        tell("search, one problem in all", taken, before, _status(page))
        print(f"\nmemory: {served.memory('VmRSS'):.0f} MB, at most {served.memory('VmHWM'):.0f} MB")


if __name__ == "__main__":
    typer.run(main)
