"""Every stage but its engine on runs of two sizes: rows and solutions per second, and the most memory each takes.

    python -m benchmarks.cpu_stages                                  # 10,000 and 100,000 solutions, minutes
    python -m benchmarks.cpu_stages 100000 1000000       # the full one: hours, and 5 GB

The runs are made by the scripted engine in this process, without Ray, and stay in ``--folder``; an unfinished run
is resumed. Each stage is then done again on the whole run in a process of its own, whose largest resident set is
what counts; ``start`` is that of a process that has done nothing yet. Solve and label find every completion stored,
so theirs is the cost of our own code. Seconds and rates are of CPU time. What this looks for is memory that does not
grow with the run: the last column is the larger run's peak over the smaller one's.
"""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from benchmarks.measured import keep, machine
from stepforge.filters import Corpus
from stepforge.pipelines.commands.relabel import relabel
from stepforge.pipelines.datasets.writer import export_all
from stepforge.pipelines.engines.gate import UNBOUNDED, EngineGate
from stepforge.pipelines.engines.scripted_engine import ScriptedEngine
from stepforge.pipelines.engines.settings import ScriptedEngineSettings
from stepforge.pipelines.exports import EXPORTS
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.report_page.page import write_page
from stepforge.pipelines.reports.records import Report
from stepforge.pipelines.reports.report import write_report
from stepforge.pipelines.run.duplicates import duplicate_questions
from stepforge.pipelines.run.export_work import export_apart
from stepforge.pipelines.run.garbage_collection import collect_seldom
from stepforge.pipelines.run.shard_work import Engines, ShardWork
from stepforge.pipelines.run_folder.ledger import build_ledger, write_ledger
from stepforge.pipelines.run_folder.lock import only_driver
from stepforge.pipelines.run_folder.plan import ShardPlan, plan_shards
from stepforge.pipelines.settings.run_file import RunFile, Workers
from stepforge.pipelines.settings.run_settings import parse_settings
from stepforge.pipelines.storage.layout import SHARD_STAGES, Layout, ShardStage
from stepforge.pipelines.storage.shards import shard_metadata
from stepforge.pipelines.storage.store import write_text

FOLDER = Path(tempfile.gettempdir()) / "stepforge-cpu-stages"
SOLUTIONS_PER_PROBLEM = 4
RUN: dict[str, Any] = {
    "seed": 9,
    "solutions": SOLUTIONS_PER_PROBLEM,
    "rows_per_shard": 250,
    "engine": {"kind": "scripted", "error_rate": 0.1, "recovery_rate": 0.1},
    "policy": {"answer": "stated"},
    "generate": [{"kind": "sequence"}, {"kind": "quantities"}],
    "vet": [{"kind": "duplicates"}, {"kind": "difficulty", "min_pass_rate": 0.25}, {"kind": "shape"}],
    "label": [{"kind": "omega_prm", "search_limit": 4, "k": 4, "curtailed": True}, {"kind": "oracle"}],
    "curate": [{"kind": "decided"}],
    "export": [{"kind": "stepwise"}, {"kind": "step_preference"}, {"kind": "preference"}],
}
SOME = tuple(export["kind"] for export in RUN["export"])


class Run(NamedTuple):
    settings: RunFile
    layout: Layout
    plan: list[ShardPlan]

    @classmethod
    def of(cls, folder: Path, solutions: int) -> "Run":
        settings = parse_settings(RUN | {"problems": solutions // SOLUTIONS_PER_PROBLEM}, "the benchmark's settings")
        folder.mkdir(parents=True, exist_ok=True)
        return cls(settings, Layout(folder), plan_shards(settings, folder))

    def work(self) -> ShardWork:
        engine = ScriptedEngine(ScriptedEngineSettings.model_validate(RUN["engine"]))
        return ShardWork(
            self.settings, self.layout.folder, PooledGrader(), Engines({"engine": EngineGate(engine, UNBOUNDED)})
        )


def make(run: Run) -> None:
    """Make what is missing of a run, shard by shard."""
    write_text(run.layout.run_file, run.settings.toml())
    work = run.work()
    began = time.monotonic()
    missing = [
        (stage, shard)
        for shard in run.plan
        for stage in SHARD_STAGES
        if not run.layout.shard(stage, shard.index).exists()
    ]
    for done, (stage, shard) in enumerate(missing, 1):
        asyncio.run(_do(work, stage, shard))
        if done % 250 == 0:
            sys.stderr.write(f"{run.layout.folder}: {done} of {len(missing)}, {time.monotonic() - began:.0f} s\n")


async def _do(work: ShardWork, stage: ShardStage, shard: ShardPlan) -> None:
    await work.do(stage, shard, Corpus())


def _every_shard(run: Run, stage: ShardStage) -> None:
    work = run.work()
    for shard in run.plan:
        asyncio.run(_do(work, stage, shard))


def _export(run: Run, name: str) -> None:
    (run.layout.folder / "exports" / f"{name}.json").unlink(missing_ok=True)
    chosen = tuple(part for part in run.settings.export if part.name == name)
    export_all(run.settings.model_copy(update={"export": chosen}), run.layout)


def _export_all(run: Run, workers: int) -> None:
    """Write all formats there are; with more than one worker under Ray, whose start counts too."""
    for path in (run.layout.folder / "exports").glob("*.json"):
        path.unlink()
    kinds = tuple(part() for part in EXPORTS)
    settings = run.settings.model_copy(update={"export": kinds, "workers": Workers(cpu=workers)})
    with only_driver(run.layout) as session:
        export_apart(settings, run.layout, session)


def _report(run: Run) -> None:
    write_report(run.settings, run.layout, write_ledger(run.layout, []))


def _page(run: Run) -> None:
    report = Report.model_validate_json(run.layout.report.read_bytes())
    sys.stderr.write(f"{write_page(run.settings, run.layout, report).stat().st_size / 1000:.0f} kB of page\n")


def _relabel(run: Run) -> None:
    shutil.rmtree(Path(str(run.layout.folder)) / "relabeled", ignore_errors=True)
    relabel(run.layout.folder, "soft")


STAGES: dict[str, tuple[ShardStage | None, Callable[[Run], object]]] = {
    "start": (None, lambda run: None),
    "duplicates": ("generate", lambda run: duplicate_questions(run.layout.shards("generate"))),
    "solve": ("generate", lambda run: _every_shard(run, "solve")),
    "vet": ("solve", lambda run: _every_shard(run, "vet")),
    "label": ("vet", lambda run: _every_shard(run, "label")),
    "curate": ("label", lambda run: _every_shard(run, "curate")),
    **{f"export {name}": ("curate", partial(_export, name=name)) for name in SOME},
    "export all": ("curate", lambda run: _export_all(run, 1)),
    "export all on 2 workers": ("curate", lambda run: _export_all(run, 2)),
    "report": ("label", _report),
    "report page": ("label", _page),
    "relabel": ("label", _relabel),
}
"""What is measured: the stage whose rows are read, and what is done with them."""


def measured(run: Run, stage: str) -> None:
    """Do one stage on the whole run; the process that calls this does nothing else."""
    collect_seldom()  # as workers and the command line do
    began, cpu = time.monotonic(), time.process_time()
    STAGES[stage][1](run)
    seconds, cpu = round(time.monotonic() - began, 2), round(time.process_time() - cpu, 2)
    # getrusage counts what the process was before its exec, too: the benchmark itself
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) / 1024 for line in status if "VmHWM" in line)
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "peak_mib": round(peak, 1)}))


def in_a_process(run: Run, solutions: int, stage: str) -> dict[str, float]:
    """Return the figures of one stage, with its rates."""
    command = [sys.executable, "-m", "benchmarks.cpu_stages", str(solutions), "--folder", str(run.layout.folder.parent)]
    answer = subprocess.run([*command, "--stage", stage], check=True, capture_output=True, text=True).stdout
    figures: dict[str, float] = json.loads(answer.splitlines()[-1])
    source = STAGES[stage][0]
    if source is not None:
        seconds = max(0.01, figures["cpu_seconds"])  # as exact as it is read
        rows = sum(shard_metadata(path)["rows"] for path in run.layout.shards(source))
        done = rows * SOLUTIONS_PER_PROBLEM
        figures |= {"rows": rows, "solutions": done}
        figures |= {"rows_per_second": round(rows / seconds), "solutions_per_second": round(done / seconds)}
    return figures


def main(
    solutions: Annotated[list[int] | None, typer.Argument()] = None,
    folder: Path = FOLDER,
    stage: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    sizes = sorted(solutions or [10_000, 100_000])
    runs = {size: Run.of(folder / str(size), size) for size in sizes}
    if stage:
        measured(runs[sizes[0]], stage)
        return
    for run in runs.values():
        make(run)
    stages = {str(n): {stage: in_a_process(runs[n], n, stage) for stage in STAGES} for n in sizes}
    made = {str(n): _made(runs[n]) for n in sizes}
    keep("cpu_stages.json", "now", {"machine": machine(), "runs": made, "stages": stages})
    print(table(stages))
    print(machine())


def _made(run: Run) -> dict[str, object]:
    """Return a run's size: rows by stage, rollouts of evidence, and bytes of its labeled shards."""
    ledger = build_ledger(run.layout, [])
    return {
        "rows_out": {stage: total.rows_out for stage, total in ledger.stages.items()},
        "evidence_rollouts": ledger.stages["label"].cost.rollouts,
        "labeled_bytes": sum(path.stat().st_size for path in run.layout.shards("label")),
    }


def table(figures: dict[str, dict[str, dict[str, float]]]) -> str:
    sizes = list(figures)
    head = f"{'stage':24}" + "".join(
        f"{f'{int(n):,} solutions':>15}{'rows/s':>10}{'sol/s':>10}{'MiB':>9}" for n in sizes
    )
    lines = [head + f"{'peak ratio':>12}"]
    for stage in figures[sizes[0]]:
        cells = [figures[n][stage] for n in sizes]
        line = f"{stage:24}" + "".join(
            f"{c['cpu_seconds']:13.1f} s{c.get('rows_per_second', 0):10,}{c.get('solutions_per_second', 0):10,}"
            f"{c['peak_mib']:9.0f}"
            for c in cells
        )
        lines.append(line + f"{cells[-1]['peak_mib'] / cells[0]['peak_mib']:12.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
