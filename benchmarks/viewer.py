"""How fast the viewer answers on a large run, and what memory it takes.

    python -m benchmarks.viewer --problems 1000000 --out runs/large

Writes a run of that many problems once: 512 of the scripted engine over and over, each with an id and a question of its
own, with all their evidence. Then starts `stepforge view` on it as a process, and asks it as a browser would.
"""

import argparse
import os
import re
import secrets
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import httpx
import pyarrow as pa

from benchmarks.scripted_problems import scripted_problems
from stepforge.pipelines.settings.run_settings import read_run_file
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import write_table
from stepforge.pipelines.storage.store import write_text
from stepforge.schemas.arrow import to_table
from stepforge.schemas.labeled import LabeledProblem

DISTINCT, PER_SHARD = 512, 4096
"""Problems that differ in more than id and question; problems in a shard, in row groups of 1024."""


def write_large_run(target: Layout, problems: int) -> None:
    """Write the run, but for the shards that are there already."""
    if len(target.shards("label")) * PER_SHARD >= problems:
        return
    base = to_table(scripted_problems(min(DISTINCT, problems), seed=3), LabeledProblem)
    whole = pa.concat_tables([base] * -(-PER_SHARD // base.num_rows)).slice(0, PER_SHARD).combine_chunks()
    target.folder.mkdir(parents=True, exist_ok=True)
    write_text(target.run_file, read_run_file(Path("configs/dry_run.toml"), []).toml())
    for shard in range(-(-problems // PER_SHARD)):
        path = target.shard("label", shard)
        if not path.exists():
            count = min(PER_SHARD, problems - shard * PER_SHARD)
            table = renamed(whole.slice(0, count), shard)
            report = {"run": "large", "stage": "label", "shard": shard, "digest": str(shard), "rows": count}
            write_table(path, table, report)


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

    def __init__(self, folder: Path, *options: str) -> None:
        self.token = secrets.token_urlsafe(16)
        command = [sys.executable, "-m", "stepforge", "view", str(folder), "--no-browser", *options]
        environment = os.environ | {"STEPFORGE_TOKEN": self.token, "PYTHONUNBUFFERED": "1"}
        self.began = time.perf_counter()
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline() if self.process.stdout else ""
        self.client = httpx.Client(base_url=line.partition("/?")[0], timeout=120)
        self.client.headers["Authorization"] = f"Bearer {self.token}"

    def timed(self, path: str) -> tuple[float, str]:
        """Return the seconds until an answer, and the answer."""
        began = time.perf_counter()
        answer = self.client.get(path).raise_for_status().text
        return time.perf_counter() - began, answer

    def memory(self, what: str) -> float:
        """Return a figure of /proc/PID/status in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(rf"{what}:\s+(\d+) kB", status)[0]) / 1000

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    target = Layout(options.out)
    write_large_run(target, options.problems)
    shards = target.shards("label")
    size = sum(path.stat().st_size for path in shards if isinstance(path, Path))
    print(f"{options.problems:,} problems in {len(shards)} shards, {size / 1e9:.2f} GB\n")
    served = Served(options.out)
    print(f"{'the process answers after':44}{time.perf_counter() - served.began:8.2f} s")
    try:
        first, page = served.timed("/")
        print(f"{'first page, nothing read yet':44}{first:8.2f} s   {_status(page)}")
        print(f"{'all problems are known after':44}{served.until_read():8.2f} s")
        middle, last = len(shards) // 2, options.problems - 1
        for name, path in {
            "first page": "/",
            "the last page": f"/?page={-(-options.problems // 50)}",
            "least sure first": "/?sort=uncertainty",
            "a labeler finds a wrong step": "/?verdict=wrong_step&disagree=1",
            "a problem in the middle": f"/problem/label/{middle}/17",
            "its tree": f"/problem/label/{middle}/17/tree",
            "search, a common word: first page": "/?q=stamps",
        }.items():
            times = sorted(served.timed(path)[0] for _ in islice(iter(int, 1), 5))
            print(f"{name:44}{times[2]:8.2f} s   (slowest of five {times[-1]:.2f})")
        taken, page = _finished(served, f"/?q=problem-{last:07d}")
        print(f"{'search, one problem in all: the answer':44}{taken:8.2f} s   {_status(page)}")
        print(f"\nmemory: {served.memory('VmRSS'):.0f} MB, at most {served.memory('VmHWM'):.0f} MB")
    finally:
        served.process.terminate()
        served.process.wait()


if __name__ == "__main__":
    main()
