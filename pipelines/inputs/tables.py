"""The table in a file, in the format given by its name; for problem sets, and for readers of whole rows."""

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from stepforge.generators.problem_sets import COMPRESSED, SUFFIXES
from stepforge.pipelines.inputs.column_rows import Parquet
from stepforge.pipelines.inputs.text_rows import Csv, Json, JsonLines, Table
from stepforge.schemas.errors import BadInput

_FORMATS: dict[str, type[JsonLines | Json | Csv | Parquet]] = {
    ".jsonl": JsonLines,
    ".ndjson": JsonLines,
    ".json": Json,
    ".csv": Csv,
    ".parquet": Parquet,
}
_READ = f"what is read is called {', '.join('*' + suffix for suffix in SUFFIXES)}"


class Print(NamedTuple):
    """Tells whether a file is unchanged."""

    name: str
    size: int
    """Bytes in the digest, from the file's beginning."""
    digest: str
    rows: int = 0


def rows_of(path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    """Yield every row of a file with its number (the line, where the format has lines; from 1)."""
    table = open_table(path)
    for raw in table.read(0, table.columns):
        if raw.reason:
            raise BadInput(f"{path.name}, row {raw.number}: {raw.reason}")
        yield raw.number, raw.row


def open_table(path: Path) -> Table:
    """Find the columns and the number of rows of a file."""
    if not path.exists():
        near = sorted(p.name for p in path.parent.glob("*") if suffix_of(p))[:10] if path.parent.is_dir() else []
        raise BadInput(f"{path}: no such file or folder{'; next to it: ' + ', '.join(near) if near else ''}")
    suffix = suffix_of(path)
    if not path.is_file() or not suffix:
        raise BadInput(f"{path}: not a problem file; {_READ}")
    packed = next((end for end in COMPRESSED if end and suffix.endswith(end)), "")
    try:
        return _FORMATS[suffix.removesuffix(packed)](path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error}); check its permissions") from error


def folder_files(folder: Path) -> list[Path]:
    try:
        found = sorted(p for p in folder.iterdir() if suffix_of(p) and not p.name.startswith(".") and p.is_file())
    except OSError as error:
        raise BadInput(f"{folder}: cannot be read ({error.strerror})") from error
    if not found:
        raise BadInput(f"{folder}: no problem file in this folder; {_READ}")
    formats = sorted({suffix_of(p) for p in found})
    if len(formats) > 1:
        raise BadInput(f"{folder}: files of several formats ({', '.join(formats)}); name one file, or separate them")
    return found


def suffix_of(path: Path) -> str:
    """Return the suffix of a file's name that gives its format; empty for anything else."""
    return next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), "")


def digest_of(path: Path, size: int) -> str:
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while size > 0 and (block := file.read(min(size, 1 << 20))):
            digest.update(block)
            size -= len(block)
    return digest.hexdigest()


def stamp_of(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
