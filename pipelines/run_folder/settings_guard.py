"""A run folder belongs to one set of problems and one policy; other changes are redone from stored completions.

The settings that the shards were made with are in ``settings.json`` (``run.toml`` may be edited by hand), the models in
``models.json``: another one at the same address or path must not continue their work.
"""

from collections.abc import Mapping
from pathlib import Path

from stepforge.pipelines.run_folder.plan import PLAN_FILE
from stepforge.pipelines.settings.digest import (
    DEPENDS_ON,
    FIXED,
    ContentSettings,
    content_digest,
    content_settings,
    digest_of,
)
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.settings.run_settings import folder_settings
from stepforge.pipelines.storage.checksummed import read_record, write_checksummed
from stepforge.pipelines.storage.layout import FOLDERS, SHARD_STAGES, Layout, ShardStage
from stepforge.pipelines.storage.store import AnyPath, write_text
from stepforge.schemas.errors import BadInput
from stepforge.schemas.protocols import EngineIdentity
from stepforge.schemas.record import Record

SETTINGS_FILE = "settings.json"
MODELS_FILE = "models.json"


class _MadeWith(Record):
    """``settings.json``."""

    run: str = ""
    problems: int = 0
    """0: all there are."""
    settings: ContentSettings


def guard_settings(run: RunFile, layout: Layout) -> list[ShardStage]:
    """Compare with the settings that the shards were made with, and write the current ones.

    Shards of a stage whose own settings changed are deleted; those of later stages stay while they still fit. A folder
    in which nothing was sampled yet takes any settings. Returns the stages whose shards were deleted.

    Raises:
        BadInput: problems or policy have changed, or there would be fewer problems.
        RunFailed: the folder's plan is damaged.
    """
    made_with, now = _made_with(layout), content_settings(run)
    stages: list[ShardStage] = []
    if made_with is not None:
        before, problems = made_with.settings, made_with.problems
        if changed := _changes_of_fixed(before, now):
            if _holds_work(layout):
                raise BadInput(
                    f"{layout.folder}: started with other settings: {', '.join(changed[:6])}; "
                    "give another --out, or the original settings"
                )
            _start_over(layout)
        elif run.problems and (not problems or run.problems < problems):
            held = problems or "all there are"
            raise BadInput(f"{layout.folder}: holds problems = {held}, which cannot become {run.problems}")
        stages = [stage for stage in SHARD_STAGES if any(before.get(n) != now.get(n) for n in DEPENDS_ON[stage])]
    if stages:
        write_text(layout.unsettled, "")
    for stage in stages:
        for path in layout.shards(stage):
            path.unlink(missing_ok=True)
    if "label" in stages:
        layout.rates.unlink(missing_ok=True)
    made_with = _MadeWith(run=content_digest(run), problems=run.problems or 0, settings=now)
    write_checksummed(layout.folder / SETTINGS_FILE, made_with.model_dump())
    write_text(layout.run_file, run.toml())
    return stages


def with_folder_exports(run: RunFile, layout: Layout) -> RunFile:
    """Return the run with the folder's additional data sets: ``stepforge export --only`` adds some."""
    if not layout.run_file.exists():
        return run
    own = {export.name for export in run.export}
    others = [export for export in folder_settings(layout.run_file).export if export.name not in own]
    return run.model_copy(update={"export": (*run.export, *others)})


def check_unchanged(run: RunFile, layout: Layout) -> None:
    made_with = _made_with(layout)
    changed = [] if made_with is None else sorted(_changes(made_with.settings, content_settings(run)))
    if changed:
        raise BadInput(
            f"{layout.run_file}: differs from the settings of the shards: {', '.join(changed[:6])}; "
            f"restore them, or let `stepforge run` redo what depends on them"
        )


def _made_with(layout: Layout) -> _MadeWith | None:
    """Return the settings that shards depend on; None in a new folder."""
    path = layout.folder / SETTINGS_FILE
    if path.exists():
        return read_record(path, _MadeWith, "settings")
    if layout.run_file.exists():
        run = folder_settings(layout.run_file)
        return _MadeWith(problems=run.problems or 0, settings=content_settings(run))
    return None


def _changes_of_fixed(before: ContentSettings, now: ContentSettings) -> list[str]:
    return sorted(_changes({n: before.get(n) for n in FIXED}, {n: now.get(n) for n in FIXED}))


def _holds_work(layout: Layout) -> bool:
    """Whether a model wrote, or a stage graded, anything: not so where the first run ended at its own settings."""
    places = [layout.folder / name for name in (FOLDERS["solve"], "completions", "journal")]
    return any(not isinstance(path, Path) or path.is_file() for place in places for path in place.rglob("*"))


def _start_over(layout: Layout) -> None:
    """Delete the problems, which cost nothing, and what the folder is bound to."""
    for name in (FOLDERS["generate"], "brought", "rejected", "failures"):
        shards: list[AnyPath] = [*(layout.folder / name).rglob("part-*.parquet")]
        for path in shards:
            path.unlink(missing_ok=True)
    for name in (PLAN_FILE, MODELS_FILE):
        (layout.folder / name).unlink(missing_ok=True)


def _changes(before: object, after: object, path: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        keys = {**before, **after}
        return [c for key in keys for c in _changes(before.get(key), after.get(key), f"{path}.{key}" if path else key)]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [c for i, (b, a) in pairs for c in _changes(b, a, f"{path}.{i}")]
    return [] if before == after else [path]


class _Models(Record):
    """``models.json``."""

    models: dict[str, str]
    """Name and digest of each, by its table in the run file; a judge, which may change, by its settings too."""


def check_models(run: RunFile, layout: Layout, found: Mapping[str, EngineIdentity], *, record: bool) -> None:
    """Compare engines, by table, with those that the folder was made with; with ``record``, add new ones to them.
    Raises BadInput: one is another model now."""
    path = layout.folder / MODELS_FILE
    known = read_record(path, _Models, "the models").models if path.exists() else {}
    judge = digest_of({"judge": content_settings(run)["judge"]})
    now = dict(known)
    for table, identity in found.items():
        key, model = f"judge {judge}" if table == "judge" else table, f"{identity.model} {identity.digest}".strip()
        if now.setdefault(key, model) != model:
            raise BadInput(
                f"{table}: {layout.folder} was made with {now[key]}, and now it is {model}; "
                "start the first model again, or give another --out"
            )
    if record and now != known:
        write_checksummed(path, {"models": now})
