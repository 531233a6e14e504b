"""Checks that a run folder can be published: finished, and not being changed."""

from pathlib import Path

from stepforge.generators.families.templates import Templates
from stepforge.generators.problem_sets import ProblemSet
from stepforge.generators.written import ModelSource
from stepforge.pipelines.datasets.writer import is_up_to_date
from stepforge.pipelines.progress.status import open_run, run_status
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import BadInput


def finished_run(folder: AnyPath) -> tuple[RunFile, Layout]:
    """Return the settings and layout of a run with every shard finished.

    Raises BadInput: it is not a run folder, or not finished.
    """
    run, layout = open_run(folder)
    origin = folder
    if layout.rule.exists():  # a relabeled folder
        origin = (folder.resolve() if isinstance(folder, Path) else folder).parent.parent
    status = run_status(origin)
    if status.state == "running":
        raise BadInput(f"{origin}: the run is in progress; publish it when it is done")
    if status.state != "finished":
        raise BadInput(f"{origin}: the run is not finished; run the same `stepforge run` command to resume")
    if len(layout.shards("curate")) != status.shards:
        raise BadInput(f"{folder}: {len(layout.shards('curate'))} of {status.shards} shards are there; relabel again")
    if not run.export:
        raise BadInput(f"{folder}: the run has no export, so there is nothing to publish; list one in the run file")
    return run, layout


def check_up_to_date(run: RunFile, layout: Layout) -> None:
    """Raise ``BadInput`` unless every data set is made from the current curated shards."""
    stale = [export.name for export in run.export if not is_up_to_date(run, layout, export)]
    if stale:
        raise BadInput(
            f"{layout.datasets}: {', '.join(stale)} not made from the current curated shards; "
            "the same `stepforge run` command updates them"
        )


def source_licenses(run: RunFile) -> dict[str, str | None]:
    """Return the license by problem set and template set; the problems of the other families are made here."""
    seeds = [part.seeds if isinstance(part, ModelSource) else part for part in run.generate]
    return {part.label: part.license for part in seeds if isinstance(part, ProblemSet | Templates)}
