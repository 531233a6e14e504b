"""Splits: by template or source group, never by row; and the files of one, with no more than one file's rows in memory.

Row groups stay below 100 MB and files below 500 MB, which the Hub's viewer and its uploads ask for.
"""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from stepforge.pipelines.storage.shards import ROW_GROUP_ROWS, write_table
from stepforge.schemas.seeds import seed_of

SPLITS = ("train", "test")
FILE_BYTES = 256 << 20
"""Size before compression at which a file is ended."""
GROUP_BYTES = 48 << 20
"""Largest row group before compression, estimated from the file's average row."""


def split_of(group: str, test_share: float) -> str:
    """Return the split of a template or source group: a hash of its name, so it never moves."""
    return "test" if seed_of("split", group) / 2**63 < test_share else "train"


def write_split(folder: Path, split: str, tables: Iterable[pa.Table], version: str) -> list[Path]:
    """Write small tables into files named as the Hub does, and return these in order; none where there is no row."""
    written: list[Path] = []
    held: list[pa.Table] = []
    size = 0

    def write() -> None:
        table = pa.concat_tables(held)
        path = folder / f"{split}-{len(written):05d}.parquet"
        group = max(1, min(ROW_GROUP_ROWS, table.num_rows * GROUP_BYTES // max(1, size)))
        write_table(path, table, {"version": version, "rows": table.num_rows, "row_group": group})
        written.append(path)
        held.clear()

    for table in tables:
        if table.num_rows:
            held.append(table.combine_chunks())
            size += held[-1].nbytes
        if size >= FILE_BYTES:
            write()
            size = 0
    if held:
        write()
    return [path.rename(path.with_stem(f"{path.stem}-of-{len(written):05d}")) for path in written]
