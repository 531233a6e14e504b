"""Rows of Parquet files and Hub datasets, read from any row on, only the columns asked for."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stepforge.generators.problem_sets import ProblemSet
from stepforge.pipelines.inputs.text_rows import RawRow, unique_names
from stepforge.pipelines.storage.footer import Chunk, chunks
from stepforge.pipelines.storage.shards import UNREADABLE
from stepforge.schemas.errors import BadInput, first_line

MAX_ROW_GROUP = 8 * 2**30
"""Most uncompressed bytes of one row group of a Parquet file."""
MAX_VALUES = 16 * 2**20
"""Most values of one column in one row group, of a file with fewer bytes: repeated values take no space in the file,
but full space in memory."""
MAX_ITEMS = 100_000
"""Most items of one list."""
MAX_CELL = 8 * 2**20
"""Most bytes of one text."""
BATCH = 64
"""Rows in memory at a time: a question may be long."""


class Parquet:
    """A Parquet file, row group by row group; page checksums are verified where it has them."""

    exact = True

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._opened(lambda: ": not a Parquet file") as file:
            self.columns = unique_names(list(file.schema_arrow.names), path)
            metadata = file.metadata
            groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
            leaves = [metadata.schema.column(i) for i in range(metadata.num_columns)]
            self.texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
        self.ends = list(accumulate(int(group.num_rows) for group in groups))
        if max((group.total_byte_size for group in groups), default=0) > MAX_ROW_GROUP:
            raise BadInput(f"{path.name}: a row group of over {MAX_ROW_GROUP >> 30} GiB; write smaller ones")

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def read(self, start: int, names: tuple[str, ...]) -> Iterator[RawRow]:
        groups = [group for group, end in enumerate(self.ends) if end > start]
        if not groups:
            return
        number = self.ends[groups[0] - 1] if groups[0] else 0
        with self._opened(lambda: f", after row {number}") as file:
            self._check_values(groups, names)
            for batch in file.iter_batches(BATCH, row_groups=groups, columns=list(names)):
                self._check_cells(batch, number)
                skipped = min(max(start - number, 0), batch.num_rows)
                for position, row in enumerate(batch.slice(skipped).to_pylist(), start=number + skipped + 1):
                    yield RawRow(position, row)
                number += batch.num_rows

    @cached_property
    def _chunks(self) -> list[list[Chunk]]:
        """Read once, as a footer of megabytes takes seconds, and a file is read on for every shard."""
        with self.path.open("rb") as file:
            return chunks(file)

    def _check_values(self, groups: Sequence[int], names: tuple[str, ...]) -> None:
        most = max(MAX_VALUES, self.path.stat().st_size)
        for chunk in (chunk for group in groups for chunk in self._chunks[group]):
            if chunk.values > most and chunk.path.partition(".")[0] in names:
                raise BadInput(
                    f"{self.path.name}: {chunk.values:,} values of column {chunk.path!r} in one row group, "
                    f"the limit here is {most:,}; write smaller row groups"
                )

    def _check_cells(self, batch: pa.RecordBatch, number: int) -> None:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            items, size = _largest(column)
            if items > MAX_ITEMS:
                limit = f"a list of {items:,} items, the limit is {MAX_ITEMS:,}"
            elif size > MAX_CELL:
                limit = f"a text of {size >> 20} MiB, the limit is {MAX_CELL >> 20} MiB"
            else:
                continue
            raise BadInput(f"{self.path.name}, after row {number}: column {name!r} has {limit}; remove the row")

    @contextmanager
    def _opened(self, place: Callable[[], str]) -> Iterator[Any]:
        """Keeps texts dictionary-encoded where the file has them so: a repeated text is stored once. Whatever fails
        inside is damage: a name or a text that is not UTF-8, a date that Python does not have."""
        texts = getattr(self, "texts", None)
        try:
            with pq.ParquetFile(self.path, page_checksum_verification=True, read_dictionary=texts) as file:
                yield file
        except BadInput:
            raise
        except UNREADABLE as error:
            raise BadInput(f"{self.path.name}{place()}: {first_line(error)}; recreate it") from error


def _largest(column: pa.Array) -> tuple[int, int]:
    """Return the most items of any list in a column, and the most bytes of any text."""
    kind = column.type
    if pa.types.is_struct(kind):
        inside = [_largest(child) for child in column.flatten()]
        return max((items for items, _ in inside), default=0), max((size for _, size in inside), default=0)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        items, size = _largest(column.flatten())
        return max(items, pc.max(pc.list_value_length(column)).as_py() or 0), size
    if pa.types.is_dictionary(kind):
        return _largest(column.dictionary)
    texts = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind)
    return 0, int(pc.max(pc.binary_length(column)).as_py() or 0) if texts else 0


class HubRows:
    """A split of a Hub dataset (``datasets.Dataset``), memory-mapped by `datasets`; or the first rows of one."""

    exact = True

    def __init__(self, dataset: Any, fingerprint: str = "") -> None:
        self.dataset = dataset
        self.columns: tuple[str, ...] = tuple(dataset.column_names)
        self.fingerprint = fingerprint or str(dataset._fingerprint)

    def __len__(self) -> int:
        return len(self.dataset)

    def read(self, start: int, names: tuple[str, ...]) -> Iterator[RawRow]:
        chosen = self.dataset.select_columns(list(names))
        for number in range(start, len(chosen)):
            yield RawRow(number + 1, chosen[number])


def open_hub(part: ProblemSet) -> HubRows:
    """Download a Hub dataset, take it from the cache, or read its first rows."""
    import datasets  # heavy, and only Hub sets need it

    try:
        loaded = datasets.load_dataset(
            part.hub, part.config, split=part.split, revision=part.revision, streaming=part.stream
        )
        if part.stream and part.limit is not None:
            return _first_rows(loaded, part.limit)
    except Exception as error:  # the Hub client raises many unrelated classes
        raise BadInput(f"hub dataset {part.hub!r}: {type(error).__name__}: {first_line(error)}") from error
    if not isinstance(loaded, dict):
        return HubRows(loaded)
    if len(loaded) != 1:
        raise BadInput(f"hub dataset {part.hub!r}: set split to one of {', '.join(map(str, loaded))}")
    return HubRows(next(iter(loaded.values())))


def _first_rows(stream: Any, count: int) -> HubRows:
    """Return the first rows of a stream, a thousand at a time; their content is their fingerprint."""
    import datasets

    content, tables = blake2b(digest_size=16), []
    for batch in stream.take(count).with_format("arrow").iter(batch_size=1000):
        table = batch if isinstance(batch, pa.Table) else pa.table(batch)
        content.update(repr(table.to_pydict()).encode("utf-8", "surrogatepass"))
        tables.append(table)
    return HubRows(datasets.Dataset(pa.concat_tables(tables)), content.hexdigest())
