"""A corpus of a million problems: reading it, making shards, finding copies, solving, filtering; memory and rows/s.

    python -m benchmarks.corpus --rows 1000000 --out runs/corpus

Writes a JSON lines file of word problems (1 % are copies of an earlier one, 1 % copies with one word changed), then
does each phase in a process of its own, on one core and without Ray: `solve` by the scripted engine, one solution each;
`vet` finds the copies and then passes every row through six filters. Memory is the most that a phase had resident, less
what it had before it began.
"""

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Annotated

import typer

from stepforge.filters import Corpus, NearDuplicates
from stepforge.pipelines.engines.gate import UNBOUNDED, EngineGate
from stepforge.pipelines.engines.scripted_engine import ScriptedEngine
from stepforge.pipelines.engines.settings import ScriptedEngineSettings
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.inputs.problem_files import open_problems
from stepforge.pipelines.run.duplicates import duplicate_questions, near_duplicates
from stepforge.pipelines.run.shard_work import Engines, ShardWork
from stepforge.pipelines.run_folder.plan import plan_shards
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.settings.run_settings import read_run_file
from stepforge.pipelines.storage.layout import Layout, ShardStage

NAMES = ("Ann", "Ben", "Carla", "Dev", "Ema", "Farid", "Greta", "Hugo")
GOODS = ("apples", "pens", "tickets", "stamps", "lamps", "ropes", "maps", "coins")
CORPUS, TEST_SET = "corpus.jsonl", "tests.jsonl"
TESTS = 1_000
"""Problems of the test set that `contamination` looks for: the first of the corpus, every tenth."""


def write_corpus(path: Path, rows: int) -> None:
    rng, kept = Random(1), ["x"]
    with path.open("w", encoding="utf-8") as file, (path.parent / TEST_SET).open("w", encoding="utf-8") as tests:
        for number in range(rows):
            one, two, a, b, c = rng.choice(NAMES), rng.choice(NAMES), *(rng.randrange(2, 999) for _ in range(3))
            good, other = rng.choice(GOODS), rng.choice(GOODS)
            text = (
                f"{one} buys {a} {good} for {b} cents each and {two} sells {c} {other} on day {number}. "
                f"How many cents does {one} spend on {good} before {two} has sold all of the {other}?"
            )
            kind = rng.random()
            if number and kind < 0.02:
                text = rng.choice(kept) if kind < 0.01 else rng.choice(kept).replace("How many", "So how many")
            if len(kept) < 10_000:
                kept.append(text)
            row = json.dumps({"id": number, "question": text, "answer": str(a * b)}) + "\n"
            file.write(row)
            if number % 10 == 0 and number < 10 * TESTS:
                tests.write(row)


def settings(folder: Path) -> RunFile:
    files = [f"generate.0.path='{folder / CORPUS}'", f"vet.2.against=['{folder / TEST_SET}']"]
    return read_run_file(Path(__file__).with_suffix(".toml"), files)


def check(folder: Path) -> int:
    """Read and check every row, as a run does before it starts."""
    return open_problems(settings(folder).generate[0]).check().problems  # type: ignore[arg-type]


def generate(folder: Path) -> int:
    return _every_shard(folder, "generate", {}, {})


def solve(folder: Path) -> int:
    return _every_shard(folder, "solve", {}, {})


def vet(folder: Path) -> int:
    """Find copies over all shards and pass all rows through the filters; return the rows kept."""
    shards = Layout(folder).shards("generate")
    return _every_shard(folder, "vet", duplicate_questions(shards), near_duplicates(shards, NearDuplicates()))


def _every_shard(folder: Path, stage: ShardStage, copies: dict[str, str], near: dict[str, str]) -> int:
    run = settings(folder)

    async def work() -> int:
        rows = 0
        async with PooledGrader() as grader:
            gate = EngineGate(ScriptedEngine(ScriptedEngineSettings()), UNBOUNDED)
            work = ShardWork(run, folder, grader, Engines({"engine": gate}))
            for shard in plan_shards(run, folder):
                ids = [f"corpus:{i}" for i in range(shard.start, shard.stop)]
                known = [{i: found[i] for i in ids if i in found} for found in (copies, near)]
                done = await work.do(stage, shard, Corpus(duplicate_of=known[0], near_copy_of=known[1]))
                rows += done.report.rows_out
        return rows

    return asyncio.run(work())


def duplicates(folder: Path) -> int:
    return len(duplicate_questions(Layout(folder).shards("generate")))


def near(folder: Path) -> int:
    return len(near_duplicates(Layout(folder).shards("generate"), NearDuplicates()))


PHASES: dict[str, Callable[[Path], int]] = {f.__name__: f for f in (check, generate, duplicates, near, solve, vet)}


def resident() -> int:
    """Return the most MiB that this process has had resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main(out: Annotated[Path, typer.Option()], rows: int = 1_000_000, phase: str | None = None) -> None:
    """Write the corpus and do every phase, each in a process of its own; or only ``phase``, in this one."""
    if phase is not None:
        before, began = resident(), time.process_time()
        found = PHASES[phase](out)
        seconds = time.process_time() - began
        print(json.dumps({"phase": phase, "found": found, "seconds": seconds, "mib": resident() - before}))
        return
    out.mkdir(parents=True, exist_ok=True)
    write_corpus(out / CORPUS, rows)
    for phase in PHASES:
        command = [sys.executable, "-m", "benchmarks.corpus", "--out", str(out), "--phase", phase]
        done = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(f"{phase}: {rows / done['seconds']:,.0f} rows/s of processor time, {done['mib']} MiB, {done}")


if __name__ == "__main__":
    typer.run(main)
