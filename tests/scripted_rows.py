"""Labelled problems of the real families, written by the scripted engine, without Ray and in a second or two."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from fakes import EqualGrader

from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.labelers import AnyPart
from stepforge.pipelines.engines.scripted_engine import ScriptedEngine
from stepforge.pipelines.engines.settings import ScriptedEngineSettings
from stepforge.pipelines.exports import AnyExport
from stepforge.pipelines.run.stages import label, solve
from stepforge.pipelines.run_folder.ledger import ShardReport
from stepforge.pipelines.settings.digest import content_digest
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import write_shard
from stepforge.schemas.labeled import LabeledProblem

FAMILY = next(part for part in ALL_FAMILIES if part().kind == "quantities")
SEED = 11


def scripted_rows(parts: Sequence[AnyPart], count: int = 12, *, error_rate: float = 0.12) -> list[LabeledProblem]:
    """Return problems with four solutions each, labelled by these parts."""
    engine = ScriptedEngine(ScriptedEngineSettings(error_rate=error_rate, recovery_rate=0.05))
    policy = PromptedPolicy(engine, PolicySettings(answer="stated"))
    family = FAMILY(levels=(2, 3))

    async def row(index: int) -> LabeledProblem:
        solved = await solve(family.item(SEED, index), [], policy, EqualGrader(), n=4, seed=SEED)
        return await label(solved, parts, policy, EqualGrader(), seed=SEED)

    async def every() -> list[LabeledProblem]:
        return list(await asyncio.gather(*(row(index) for index in range(count))))

    return asyncio.run(every())


def curated_run(folder: Path, rows: Sequence[LabeledProblem], exports: Sequence[AnyExport]) -> tuple[RunFile, Layout]:
    """Return a run folder in which these rows were labelled and curated, three a shard; nothing is exported yet."""
    run = RunFile.model_validate(
        {
            "problems": max(1, len(rows)),
            "test_share": 0.3,
            "generate": [{"kind": "quantities"}],
            "engine": {"kind": "scripted"},
            "label": [{"kind": "omega_prm"}],
            "export": [export.model_dump() for export in exports],
        }
    )
    layout = Layout(folder)
    folder.mkdir(parents=True, exist_ok=True)
    layout.run_file.write_text(run.toml())
    for number, first in enumerate(range(0, len(rows), 3)):
        part = rows[first : first + 3]
        for stage in ("label", "curate"):
            report = ShardReport(stage=stage, shard=number, rows_in=len(part), rows_out=len(part))  # type: ignore[arg-type]
            stamp = {"run": content_digest(run), "report": report.model_dump(mode="json")}
            write_shard(layout.shard(stage, number), part, LabeledProblem, stamp)  # type: ignore[arg-type]
    return run, layout
