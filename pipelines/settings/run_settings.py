"""Reading run files: TOML, overrides, and one clear line for whatever is wrong, before anything starts."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stepforge.pipelines.settings.faults import faults
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.regular_files import read_small
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import BadInput
from stepforge.schemas.own_part import IMPORTING

RUN_FILE_BYTES = 1 << 20
"""Size of the largest ``run.toml`` that is read from a run folder."""
FILES = frozenset({"path", "against", "command", "reads"})
"""Settings that name files."""


def read_run_file(path: Path, overrides: Sequence[str] = ()) -> RunFile:
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise BadInput(f"{path}: no such run file; configs/demo.toml is one to start from") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read ({error})") from None
    except ValueError as error:  # also a number of more digits than Python reads
        raise BadInput(f"{path}: not TOML: {error}") from None
    except RecursionError:
        raise BadInput(f"{path}: lists or tables nested too deep to be read") from None
    for override in overrides:
        _apply_override(settings, override)
    return parse_settings(settings, str(path), path.parent, import_own_parts=True)


def folder_settings(path: AnyPath) -> RunFile:
    """Return the settings in a run folder's ``run.toml``, which may have been edited by hand."""
    try:
        settings = tomllib.loads(read_small(path, RUN_FILE_BYTES).decode())
    except (OSError, ValueError, RecursionError) as error:
        line = " ".join(str(error).split())
        raise BadInput(f"{path}: cannot be read ({line}); delete it and run again with the same settings") from None
    try:
        return parse_settings(settings, str(path))
    except BadInput as error:
        raise BadInput(f"{error} (edited, or from another version of stepforge: that version reads it)") from None


def parse_settings(
    settings: Mapping[str, object], where: str, folder: Path | None = None, *, import_own_parts: bool = False
) -> RunFile:
    """Return the settings as a checked record; relative problem paths are taken from ``folder``.

    A user's own parts are imported only on request: reading a run folder executes none of its code.
    """
    try:
        found = {key: _resolved(settings[key], folder) for key in ("generate", "vet") if folder and key in settings}
        run = RunFile.model_validate({**settings, **found}, context=IMPORTING if import_own_parts else None)
    except ValidationError as error:
        raise BadInput(f"{where}: {faults(error, settings)}") from None
    if misplaced := list(_truth_values(settings, run.model_dump())):
        raise BadInput(f"{where}: {', '.join(misplaced)}: true or false where a number is expected")
    return run


def _truth_values(written: Any, read: Any, path: str = "") -> Iterator[str]:
    """Yield the settings that are booleans in the file but were read as numbers."""
    if isinstance(written, dict) and isinstance(read, dict):
        for key in written.keys() & read.keys():
            yield from _truth_values(written[key], read[key], f"{path}.{key}".lstrip("."))
    elif isinstance(written, list) and isinstance(read, list | tuple):
        for place, (one, other) in enumerate(zip(written, read, strict=False)):
            yield from _truth_values(one, other, f"{path}.{place}")
    elif isinstance(written, bool) and isinstance(read, int | float) and not isinstance(read, bool):
        yield path


def _resolved(value: Any, folder: Path, key: str = "") -> Any:
    """Resolve the files that problem sets, held-out sets and verifiers name against the run file's folder, unless they
    exist relative to the current folder. A verifier's are made absolute: it runs in its own folder."""
    if isinstance(value, dict):
        return {name: _resolved(item, folder, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, folder, key) for item in value]
    if not isinstance(value, str) or not value or key not in FILES:
        return value
    path = value if _exists(value) else str(folder / value)
    if not _exists(path):
        return value
    if key == "against":
        return {"path": path}
    return path if key == "path" else str(Path(path).absolute())


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # too long for a name: a program among a command's words
        return False


def _apply_override(settings: dict[str, object], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key.strip():
        raise BadInput(f"--set {override}: not of the form key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
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
        raise BadInput(f"--set {override}: {'.'.join(parents)} is not a table")


def _descend(place: Any, name: str, override: str) -> Any:
    if isinstance(place, list):
        return place[_index(place, name, override)]
    if not isinstance(place, dict):
        raise BadInput(f"--set {override}: {name} is inside something that is not a table")
    return place.setdefault(name, {})


def _index(place: list[Any], name: str, override: str) -> int:
    if name in map(str, range(len(place))):
        return int(name)
    for index, item in enumerate(place):
        if isinstance(item, dict) and item.get("kind") == name:
            return index
    raise BadInput(f"--set {override}: no item {name!r} in a list of {len(place)}")
