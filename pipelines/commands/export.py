"""``stepforge export``: more formats, or the same ones again, from the curated rows of a run. Nothing is sampled."""

from stepforge.pipelines.exports import EXPORTS
from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.reports.records import Report
from stepforge.pipelines.reports.report import write_report
from stepforge.pipelines.run.export_work import export_apart
from stepforge.pipelines.run_folder.ledger import write_ledger
from stepforge.pipelines.run_folder.lock import only_driver
from stepforge.pipelines.run_folder.sessions import past_sessions
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.store import AnyPath, write_text
from stepforge.schemas.errors import BadInput
from stepforge.schemas.own_part import is_own

KINDS = {part().kind: part for part in EXPORTS}


def export_again(folder: AnyPath, names: list[str]) -> Report:
    """Write the named exports, or all of the run's, unless they are up to date; return the run's report.

    One that the run does not list is added to it with its defaults, under its kind's name.
    """
    run, layout = open_run(folder)
    if not layout.shards("curate"):
        raise BadInput(f"{folder}: nothing is curated yet; resume it with `stepforge run`")
    run = with_exports(run, names)
    if not run.export:
        raise BadInput(f"{folder}: the run lists no export; name one with --only: {', '.join(KINDS)}")
    with only_driver(layout) as session:
        wanted = [export for export in run.export if not names or export.name in names]
        export_apart(run.model_copy(update={"export": tuple(wanted)}), layout, session)
        # The run lists the new exports only once they exist.
        write_text(layout.run_file, run.toml())
        return write_report(run, layout, write_ledger(layout, past_sessions(layout)))


def with_exports(run: RunFile, names: list[str]) -> RunFile:
    added = []
    for name in dict.fromkeys(names):
        listed = next((export for export in run.export if export.name == name), None)
        if listed and is_own(listed):
            raise BadInput(f"--only {name}: the user's own format; only `stepforge run` imports and writes it")
        if listed:
            continue
        if name not in KINDS:
            raise BadInput(f"--only {name}: neither an export of this run nor a kind; the kinds are {', '.join(KINDS)}")
        added.append(KINDS[name]())
    return run.model_copy(update={"export": (*run.export, *added)})
