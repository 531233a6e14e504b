"""What the report of a large run takes: seconds, memory, and the size of the page.

    stepforge run configs/dry_run.toml --set problems=1200 --out runs/dry
    python -m benchmarks.report_page runs/dry --problems 100000 --out runs/large

Writes a run of that many problems once, labeled and curated: those of the first run over and over, each with an id and
a question of its own and with all its evidence. Then measures its figures and writes the page, in this process.
"""

import resource
import time
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from benchmarks.viewer import PER_SHARD, renamed
from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.report_page.page import write_page
from stepforge.pipelines.reports.report import measured as found_in
from stepforge.pipelines.run_folder.ledger import ShardReport, build_ledger
from stepforge.pipelines.settings.digest import content_digest
from stepforge.pipelines.settings.run_settings import folder_settings
from stepforge.pipelines.storage.filtered_shards import Kept
from stepforge.pipelines.storage.layout import Layout, ShardStage
from stepforge.pipelines.storage.shards import ShardMetadata, read_shard, write_shard, write_table
from stepforge.pipelines.storage.store import write_text
from stepforge.schemas.arrow import to_table
from stepforge.schemas.labeled import LabeledProblem


def write_large_run(source: Layout, target: Layout, problems: int) -> None:
    """Write the run, but for the shards that are there already."""
    rows = [row for path in source.shards("label") for row in read_shard(path, LabeledProblem)]
    base = to_table(rows, LabeledProblem)
    whole = pa.concat_tables([base] * -(-PER_SHARD // base.num_rows)).slice(0, PER_SHARD).combine_chunks()
    target.folder.mkdir(parents=True, exist_ok=True)
    write_text(target.run_file, source.run_file.read_bytes().decode())
    run = content_digest(folder_settings(target.run_file))
    for shard in range(-(-problems // PER_SHARD)):
        table = renamed(whole.slice(0, min(PER_SHARD, problems - shard * PER_SHARD)), shard)
        names = table["problem"].combine_chunks().field("id").to_pylist()
        if not target.shard("label", shard).exists():
            stamp = _stamp("label", shard, len(names), run)
            write_table(target.shard("label", shard), table, ShardMetadata(**stamp, digest=str(shard), rows=len(names)))
        if not target.shard("curate", shard).exists():
            kept = [Kept(row=i, problem_id=name) for i, name in enumerate(names)]
            stamp = ShardMetadata(**_stamp("curate", shard, len(names), run), source=str(shard))
            write_shard(target.shard("curate", shard), kept, Kept, stamp)


def _stamp(stage: ShardStage, shard: int, rows: int, run: str) -> ShardMetadata:
    report = ShardReport(stage=stage, shard=shard, rows_in=rows, rows_out=rows)
    return ShardMetadata(run=run, stage=stage, shard=shard, report=report.model_dump(mode="json"))


def main(run: Path, out: Annotated[Path, typer.Option()], problems: int = 100_000) -> None:
    write_large_run(Layout(run), Layout(out), problems)
    before = _memory()
    settings, layout = open_run(out)
    began, computing = time.perf_counter(), time.process_time()
    report = found_in(settings, layout, build_ledger(layout, [])).report
    measured, used = time.perf_counter(), time.process_time()
    path = write_page(settings, layout, report)
    wrote = time.perf_counter()
    print(f"{problems:,} problems, {report.solutions.labeled:,} solutions")
    print(f"figures measured in {measured - began:.0f} s, {used - computing:.0f} s of them computing")
    print(f"page written in {wrote - measured:.1f} s, {path.stat().st_size / 1000:.0f} kB")
    print(f"memory: {before:.0f} MB before, at most {_memory():.0f} MB")


def _memory() -> float:
    """The most that this process has held so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    typer.run(main)
