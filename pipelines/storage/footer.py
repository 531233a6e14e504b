"""How many values each column chunk of a Parquet file claims, read from its footer.

pyarrow's own ``ColumnChunkMetaData`` aborts the process where a damaged or hostile footer has level histograms of a
wrong length (seen with pyarrow 26), so the footer is read here: Thrift's compact protocol
(github.com/apache/thrift, doc/specs/thrift-compact-protocol.md), fields by parquet.thrift of apache/parquet-format.
"""

from typing import Any, NamedTuple

ROW_GROUPS, COLUMNS, METADATA = 4, 1, 3
"""Fields of the footer, of a row group, of a column chunk; then two of a chunk's metadata."""
PATH, VALUES = 3, 5
TAIL = 8
"""Bytes after the footer: its length, and four that say what the file is."""


class Chunk(NamedTuple):
    path: str
    values: int


def chunks(file: Any) -> list[list[Chunk]]:
    """Return the chunks of every row group of an open file. Raises ValueError: the footer has another form."""
    size = file.seek(-TAIL, 2)
    length = int.from_bytes(file.read(4), "little")
    if length > size:
        raise ValueError("its footer is longer than the file")
    file.seek(size - length)
    try:
        groups = _Compact(file.read(length)).struct()[ROW_GROUPS]
        return [[_chunk(chunk[METADATA]) for chunk in group[COLUMNS]] for group in groups]
    except (IndexError, KeyError, TypeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"its footer cannot be read ({error})") from error


def _chunk(metadata: dict[int, Any]) -> Chunk:
    values = metadata[VALUES]
    if not isinstance(values, int) or values < 0:
        raise TypeError(f"{values!r} values")
    return Chunk(b".".join(metadata[PATH]).decode(), values)


class _Compact:
    """Reads one value after the other; a struct becomes its fields by number."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def struct(self) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            fields[number] = self._field(head & 15)
        return fields

    def _field(self, kind: int) -> Any:
        return kind == 1 if kind in (1, 2) else self._value(kind)  # a boolean is in the type

    def _value(self, kind: int) -> Any:
        match kind:
            case 1 | 2 | 3:
                return self._byte()
            case 4 | 5 | 6:
                return self._integer()
            case 7:
                return self._bytes(8)
            case 8:
                return self._bytes(self._varint())
            case 9 | 10:  # list, set
                head = self._byte()
                size = head >> 4 if head >> 4 < 15 else self._varint()
                return [self._value(head & 15) for _ in range(size)]
            case 12:
                return self.struct()
        raise TypeError(f"a value of type {kind}")

    def _byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def _bytes(self, size: int) -> bytes:
        self.at += size
        if self.at > len(self.data):
            raise IndexError("it ends too early")
        return self.data[self.at - size : self.at]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80 and shift < 70:  # as many as 64 bits take: a long one takes long
            value |= (byte & 0x7F) << shift
            shift += 7
        return value | byte << shift

    def _integer(self) -> int:
        zigzag = self._varint()
        return zigzag >> 1 ^ -(zigzag & 1)
