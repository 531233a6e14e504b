"""Are the files of one data set all there, and undamaged?"""

import filecmp
import json
import re
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stepforge.pipelines.exports import AnyExport
from stepforge.pipelines.settings.digest import VERSION
from stepforge.pipelines.storage.shards import shard_metadata, write_table
from stepforge.schemas.arrow import arrow_schema
from stepforge.schemas.errors import BadInput, RunFailed

PART = re.compile(r"(?P<split>[a-z]+)-(?P<number>\d{5})-of-(?P<total>\d{5})\.(?P<format>parquet|jsonl)")


def checked_rows(folder: Path, export: AnyExport) -> dict[str, int]:
    """Return rows by split, every page's checksum verified.

    Raises:
        BadInput: a file is missing or damaged.
    """
    rows: dict[str, dict[str, int]] = {".parquet": defaultdict(int), ".jsonl": defaultdict(int)}
    for split, path in _parts(folder):
        count = _lines(path) if path.suffix == ".jsonl" else _rows(path, arrow_schema(export.row))
        rows[path.suffix][split] += count
    return dict(rows[".parquet"] or rows[".jsonl"])  # the same rows, if both are there


def _parts(folder: Path) -> list[tuple[str, Path]]:
    """Return every part with its split, all there."""
    found: dict[tuple[str, str], dict[int, Path]] = defaultdict(dict)
    totals: dict[tuple[str, str], set[int]] = defaultdict(set)
    for path in sorted(folder.glob("*")):
        if match := PART.fullmatch(path.name):
            key = match["split"], match["format"]
            found[key][int(match["number"])] = path
            totals[key].add(int(match["total"]))
        elif path.suffix in (".parquet", ".jsonl"):
            raise BadInput(f"{path}: not a name of this data set's files; move it away")
    if not found:
        raise BadInput(f"{folder}: no data set there; the same `stepforge run` command makes it")
    for key, parts in found.items():
        if totals[key] != {len(parts)} or sorted(parts) != list(range(len(parts))):
            raise BadInput(f"{folder}: files of the {key[0]} split are missing; {_anew(folder)}")
    in_order = sorted(found, key=lambda key: (key[0] != "train", key))
    return [(key[0], path) for key in in_order for _, path in sorted(found[key].items())]


def _rows(path: Path, schema: pa.Schema) -> int:
    try:
        stamp = shard_metadata(path)
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
        if not table.schema.remove_metadata().equals(schema):
            raise ValueError("columns are not those of this export")
        if table.num_rows != stamp["rows"] or stamp["version"] != VERSION:
            raise ValueError(f"{table.num_rows} rows where {stamp['rows']} were written")
        if not _is_written_so(path, table, stamp):
            raise ValueError("not byte for byte what its rows give when they are written")
    except (OSError, ValueError, KeyError, pa.ArrowException, RunFailed) as error:
        reason = "cannot be read" if isinstance(error, RunFailed) else str(error).splitlines()[0]
        raise BadInput(f"{path}: damaged ({reason}); {_anew(path.parent)}") from None
    return int(table.num_rows)


def _is_written_so(path: Path, table: pa.Table, stamp: dict[str, Any]) -> bool:
    """Write the rows again and compare: page checksums cover the data, not the statistics and indexes beside it."""
    with TemporaryDirectory() as scratch:
        again = Path(scratch) / path.name
        write_table(again, table, stamp)
        return filecmp.cmp(again, path, shallow=False)


def _lines(path: Path) -> int:
    count = 0
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                if not line.endswith("\n") or not isinstance(json.loads(line), dict):
                    raise ValueError("a line is cut short")
                count += 1
    except ValueError as error:
        raise BadInput(f"{path}: damaged at line {count + 1} ({error}); {_anew(path.parent)}") from None
    return count


def _anew(folder: Path) -> str:
    return f"delete {folder} and give the same `stepforge run` command again, which makes it anew"
