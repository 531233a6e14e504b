"""A run folder belongs to one set of settings: going on with others is refused, unless the change only adds."""

from typing import Any

from stepforge.pipelines.settings.digest import content_settings
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.settings.run_settings import folder_settings
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.store import write_text
from stepforge.schemas.errors import BadInput


def guard_settings(run: RunFile, layout: Layout) -> None:
    """Compare with the settings that the folder was begun with, and write the current ones.

    Raises:
        BadInput: settings that decide what the shards hold have changed, or there would be fewer problems.
        RunFailed: the folder's own ``run.toml`` is damaged.
    """
    if layout.run_file.exists():
        before = folder_settings(layout.run_file)
        changed = sorted(_changes(content_settings(before), content_settings(run)))
        if changed:
            raise BadInput(
                f"{layout.folder}: begun with other settings: {', '.join(changed[:6])}; "
                "give another --out, or the settings of its run.toml"
            )
        if run.problems and (not before.problems or run.problems < before.problems):
            raise BadInput(f"{layout.folder}: holds problems = {_total(before)}, which cannot become {run.problems}")
    write_text(layout.run_file, run.toml())


def _total(run: RunFile) -> str:
    return str(run.problems) if run.problems else "all there are"


def _changes(before: Any, after: Any, path: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        keys = {**before, **after}
        return [c for key in keys for c in _changes(before.get(key), after.get(key), f"{path}.{key}" if path else key)]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [c for i, (b, a) in pairs for c in _changes(b, a, f"{path}.{i}")]
    return [] if before == after else [path]
