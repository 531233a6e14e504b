"""Are the files of one data set all there, and of this export?"""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from stepforge.pipelines.settings.digest import VERSION
from stepforge.pipelines.storage.shards import file_metadata, shard_metadata
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import BadInput, RunFailed

PART = re.compile(r"(?P<split>[a-z]+)-(?P<number>\d{5})-of-(?P<total>\d{5})\.(?P<format>parquet|jsonl)", re.ASCII)


def checked_rows(folder: Path, names: Iterable[str], columns: pa.Schema | None) -> dict[str, int]:
    """Return rows by split, from the footers of files whose checksums were verified.

    Raises BadInput: a file is missing, or is not one of this export.
    """
    rows: dict[str, int] = defaultdict(int)
    for split, name in _parts(folder, names):
        rows[split] += _rows(folder / name, columns) if name.endswith(".parquet") else 0
    return dict(rows)


def _parts(folder: Path, names: Iterable[str]) -> list[tuple[str, str]]:
    found: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
    totals: dict[tuple[str, str], set[int]] = defaultdict(set)
    for name in sorted(names):
        match = PART.fullmatch(name)
        if match is None:
            raise BadInput(f"{folder / name}: not a name of this data set's files; {anew(folder)}")
        key = match["split"], match["format"]
        found[key][int(match["number"])] = name
        totals[key].add(int(match["total"]))
    if not found:
        raise BadInput(f"{folder}: no data set there; the same `stepforge run` command makes it")
    for key, parts in found.items():
        if totals[key] != {len(parts)} or sorted(parts) != list(range(len(parts))):
            raise BadInput(f"{folder}: files of the {key[0]} split are missing; {anew(folder)}")
    in_order = sorted(found, key=lambda key: (key[0] != "train", key))
    return [(key[0], name) for key in in_order for _, name in sorted(found[key].items())]


def _rows(path: Path, columns: pa.Schema | None) -> int:
    try:
        stamp, footer = shard_metadata(path), file_metadata(path)
    except RunFailed:
        raise BadInput(f"{path}: damaged (cannot be read); {anew(path.parent)}") from None
    if columns is not None and not footer.schema.to_arrow_schema().remove_metadata().equals(columns):
        raise BadInput(f"{path}: columns are not those of this export; {anew(path.parent)}")
    if stamp.get("rows") != footer.num_rows or stamp.get("version") != VERSION:
        raise BadInput(f"{path}: not made by this version of stepforge; {anew(path.parent)}")
    return int(footer.num_rows)


def anew(folder: AnyPath) -> str:
    """The remedy for a data set that cannot be published."""
    return f"delete {folder} and give the same `stepforge run` command again, which makes it again"
