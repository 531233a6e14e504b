"""Labeled problems of the real families, written by the scripted engine, without Ray and in a second or two."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from fakes import EqualGrader
from run_files import a_run

from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.labelers import AnyPart, MathShepherd
from stepforge.labelers.evidence.replay import solved_part
from stepforge.pipelines.datasets.writer import export_all
from stepforge.pipelines.engines.scripted_engine import ScriptedEngine
from stepforge.pipelines.engines.settings import ScriptedEngineSettings
from stepforge.pipelines.exports import AnyExport
from stepforge.pipelines.reports.report import write_report
from stepforge.pipelines.run.stage_table import STAGES as MADE_BY
from stepforge.pipelines.run.stages import label, solve
from stepforge.pipelines.run_folder.ledger import ShardReport, write_ledger
from stepforge.pipelines.settings.digest import content_digest
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.filtered_shards import kept_rows
from stepforge.pipelines.storage.layout import Layout, ShardStage
from stepforge.pipelines.storage.shards import shard_metadata, write_shard
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import PeopleLabel

FAMILY = next(part for part in ALL_FAMILIES if part().kind == "quantities")
SEED = 11
LAST: tuple[ShardStage, ...] = ("label", "curate")
_MADE: dict[tuple[str, float], list[LabeledProblem]] = {}
"""Rows that this process has made: more of them begin with the same ones."""


def scripted_rows(parts: Sequence[AnyPart], count: int = 12, *, error_rate: float = 0.12) -> list[LabeledProblem]:
    """Return problems with four solutions each, labeled by these parts."""
    engine = ScriptedEngine(ScriptedEngineSettings(error_rate=error_rate, recovery_rate=0.05))
    policy = PromptedPolicy(engine, PolicySettings(answer="stated"))
    family = FAMILY(levels=(2, 3))

    async def row(index: int) -> LabeledProblem:
        solved = await solve(family.item(SEED, index), [], policy, EqualGrader(), n=4, seed=SEED)
        return await label(solved, parts, policy, EqualGrader(), seed=SEED)

    async def further() -> list[LabeledProblem]:
        return list(await asyncio.gather(*(row(index) for index in range(len(made), count))))

    made = _MADE.setdefault((repr(parts), error_rate), [])
    made += asyncio.run(further())
    return made[:count]


def recorded() -> list[LabeledProblem]:
    """Return a recording: problems with completions of every prefix."""
    return scripted_rows([MathShepherd(k=4, root=4, right_solutions=False)], 8)


def said_by_people(row: LabeledProblem, first_error: int | None) -> LabeledProblem:
    """Return a problem whose solutions people judged alike."""
    said = {"people": PeopleLabel(first_error=first_error)}
    solutions = (s.model_copy(update={"rollout": s.rollout.model_copy(update=said)}) for s in row.solutions)
    return row.model_copy(update={"solutions": tuple(solutions)})


def write_stages(
    layout: Layout, number: int, rows: Sequence[LabeledProblem], run: RunFile, stages: Sequence[ShardStage] = LAST
) -> None:
    """Commit rows as a shard of each stage, in which no filter dropped or changed any."""
    solved = [solved_part(row) for row in rows]
    records: dict[ShardStage, Sequence[Record]] = {
        "generate": [row.problem for row in rows],
        "solve": solved,
        "vet": kept_rows(solved, solved),
        "label": rows,
        "curate": kept_rows(rows, rows),
    }
    source = ""
    for stage in stages:
        report = ShardReport(stage=stage, shard=number, rows_in=len(rows), rows_out=len(rows)).model_dump(mode="json")
        stamp = {"run": content_digest(run), "stage": stage, "shard": number, "source": source, "report": report}
        write_shard(layout.shard(stage, number), records[stage], MADE_BY[stage].writes, stamp)
        source = shard_metadata(layout.shard(stage, number))["digest"]


def curated_run(folder: Path, rows: Sequence[LabeledProblem], exports: Sequence[AnyExport]) -> tuple[RunFile, Layout]:
    """Return a run folder in which these rows were labeled and curated, three a shard; nothing is exported yet."""
    run = a_run(problems=max(1, len(rows)), test_share=0.3, export=[export.model_dump() for export in exports])
    layout = Layout(folder)
    folder.mkdir(parents=True, exist_ok=True)
    layout.run_file.write_text(run.toml())
    for number, first in enumerate(range(0, len(rows), 3)):
        write_stages(layout, number, rows[first : first + 3], run)
    return run, layout


def exported_run(folder: Path, rows: Sequence[LabeledProblem], exports: Sequence[AnyExport]) -> tuple[RunFile, Layout]:
    """Return the same with its data sets, report and card."""
    run, layout = curated_run(folder, rows, exports)
    export_all(run, layout)
    write_report(run, layout, write_ledger(layout, []))
    return run, layout
