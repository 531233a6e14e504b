"""Rows of Parquet files and Hub datasets, read from any row on, only the columns asked for."""

from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stepforge.generators.problem_sets import ProblemSet
from stepforge.pipelines.inputs.text_rows import RawRow, unique_names
from stepforge.schemas.errors import BadInput

MAX_ROW_GROUP = 8 * 2**30
"""Most uncompressed bytes of one row group of a Parquet file."""
BATCH = 64
"""Rows in memory at a time: a question may be long."""


class Parquet:
    """A Parquet file, row group by row group; page checksums are verified where it has them."""

    exact = True

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._opened() as file:
            self.columns = unique_names(list(file.schema_arrow.names), path)
            groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
        self.ends = list(accumulate(int(group.num_rows) for group in groups))
        if max((group.total_byte_size for group in groups), default=0) > MAX_ROW_GROUP:
            raise BadInput(f"{path.name}: a row group of over {MAX_ROW_GROUP >> 30} GiB; write smaller ones")

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def read(self, start: int, names: tuple[str, ...]) -> Iterator[RawRow]:
        """Yield the rows from position ``start`` on."""
        groups = [group for group, end in enumerate(self.ends) if end > start]
        if not groups:
            return
        number = self.ends[groups[0] - 1] if groups[0] else 0
        with self._opened() as file:
            try:
                for batch in file.iter_batches(BATCH, row_groups=groups, columns=list(names)):
                    skipped = min(max(start - number, 0), batch.num_rows)
                    for position, row in enumerate(batch.slice(skipped).to_pylist(), start=number + skipped + 1):
                        yield RawRow(position, row)
                    number += batch.num_rows
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                raise BadInput(f"{self.path.name}, after row {number}: {_first_line(error)}; make it anew") from error

    def _opened(self) -> Any:
        try:
            return pq.ParquetFile(self.path, page_checksum_verification=True)
        except (pa.ArrowException, OSError) as error:
            raise BadInput(f"{self.path.name}: not a Parquet file ({_first_line(error)}); make it anew") from error


class HubRows:
    """A split of a Hub dataset (``datasets.Dataset``), memory-mapped by `datasets`."""

    exact = True

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.columns: tuple[str, ...] = tuple(dataset.column_names)
        self.fingerprint = str(dataset._fingerprint)

    def __len__(self) -> int:
        return len(self.dataset)

    def read(self, start: int, names: tuple[str, ...]) -> Iterator[RawRow]:
        """Yield the rows from position ``start`` on."""
        chosen = self.dataset.select_columns(list(names))
        for number in range(start, len(chosen)):
            yield RawRow(number + 1, chosen[number])


def open_hub(part: ProblemSet) -> HubRows:
    """Download a Hub dataset, or take it from the cache.

    Raises:
        BadInput: it is not there, cannot be reached, or has several splits and none was named.
    """
    import datasets  # heavy, and only Hub sets need it

    try:
        loaded = datasets.load_dataset(part.hub, part.config, split=part.split, revision=part.revision)
    except Exception as error:  # the Hub client raises many unrelated classes
        raise BadInput(f"hub dataset {part.hub!r}: {type(error).__name__}: {_first_line(error)}") from error
    if not isinstance(loaded, dict):
        return HubRows(loaded)
    if len(loaded) != 1:
        raise BadInput(f"hub dataset {part.hub!r}: set split to one of {', '.join(map(str, loaded))}")
    return HubRows(next(iter(loaded.values())))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
