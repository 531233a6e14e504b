"""Reading run files: TOML, overrides, and one clear line for whatever is wrong, before anything starts."""

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.regular_files import read_small
from stepforge.pipelines.storage.sealed import opened_text
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import BadInput, RunFailed
from stepforge.schemas.record import Record

RUN_FILE_BYTES = 1 << 20
"""Size of the largest ``run.toml`` that is read from a run folder."""


def read_run_file(path: Path, overrides: Sequence[str] = ()) -> RunFile:
    """Return the settings of a run file, with ``key=value`` overrides applied.

    Raises:
        BadInput: the file is missing or not TOML, a setting is unknown or impossible.
    """
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path}: no such run file; configs/demo.toml is one to start from") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read ({error})") from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path}: not TOML: {error}") from None
    for override in overrides:
        _apply_override(settings, override)
    return parse_settings(settings, str(path), path.parent)


def folder_settings(path: AnyPath) -> RunFile:
    """Return the settings that a run folder was begun with.

    Raises:
        RunFailed: its ``run.toml`` is damaged, or was changed by hand.
    """
    try:
        return parse_settings(tomllib.loads(opened_text(read_small(path, RUN_FILE_BYTES).decode())), str(path))
    except (OSError, ValueError, RecursionError) as error:
        line = " ".join(str(error).split())
        raise RunFailed(
            f"{path}: damaged, or changed by hand ({line}); delete it and run again with the same settings"
        ) from error


def parse_settings(settings: dict[str, Any], where: str, folder: Path | None = None) -> RunFile:
    """Return the settings as a checked record; relative problem paths are taken from ``folder``.

    Raises:
        BadInput: one line with the setting's path and the remedy.
    """
    try:
        return RunFile.model_validate(_absolute_paths(settings, folder))
    except ValidationError as error:
        raise BadInput(f"{where}: {validation_line(error)}") from None


def _absolute_paths(settings: dict[str, Any], folder: Path | None) -> dict[str, Any]:
    """Resolve a problem set's path against the run file's folder, unless it is there from where we stand."""
    sources = settings.get("generate")
    if folder is None or not isinstance(sources, list):
        return settings
    resolved = []
    for source in sources:
        path = source.get("path") if isinstance(source, dict) else None
        if isinstance(path, str) and not Path(path).exists() and (folder / path).exists():
            source = {**source, "path": str(folder / path)}
        resolved.append(source)
    return {**settings, "generate": resolved}


def _apply_override(settings: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key.strip():
        raise BadInput(f"--set {override}: not of the form key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *parents, last = key.strip().split(".")
    place: Any = settings
    for parent in parents:
        place = _descend(place, parent, override)
    if isinstance(place, list):
        place[_index(place, last, override)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise BadInput(f"--set {override}: {'.'.join(parents)} is no table")


def _descend(place: Any, name: str, override: str) -> Any:
    if isinstance(place, list):
        return place[_index(place, name, override)]
    if not isinstance(place, dict):
        raise BadInput(f"--set {override}: {name} lies inside something that is not a table")
    return place.setdefault(name, {})


def _index(place: list[Any], name: str, override: str) -> int:
    """A list's item by number, or by its ``kind``."""
    if name.isdigit() and int(name) < len(place):
        return int(name)
    for index, item in enumerate(place):
        if isinstance(item, dict) and item.get("kind") == name:
            return index
    raise BadInput(f"--set {override}: no item {name!r} in a list of {len(place)}")


def validation_line(error: ValidationError) -> str:
    """Return the first thing that is wrong: its path in the settings, and what to do."""
    first = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        return f"{path}: unknown setting{_suggestion(str(first['loc'][-1]))}{more}"
    message = str(first["msg"]).removeprefix("Value error, ")
    given = "" if isinstance(first["input"], dict | list | tuple) else f", not {str(first['input'])[:80]!r}"
    return f"{path + ': ' if path else ''}{message}{given}{more}"


def _suggestion(name: str) -> str:
    near = difflib.get_close_matches(name, _all_settings(), n=1)
    return f", did you mean {near[0]}?" if near else ""


def _all_settings() -> set[str]:
    names: set[str] = set()
    pending: list[Any] = [RunFile]
    seen: set[Any] = set()
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, Record) and annotation not in seen:
            seen.add(annotation)
            names.update(annotation.model_fields)
            pending.extend(field.annotation for field in annotation.model_fields.values())
        pending.extend(get_args(annotation))
    return names
