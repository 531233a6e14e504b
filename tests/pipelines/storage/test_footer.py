"""The counts of values in a Parquet footer, also in a damaged one."""

from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepforge.pipelines.storage.footer import chunks

ROWS = [{"a": i, "b": [{"c": "x" * k, "d": None} for k in range(i % 4)]} for i in range(100)]


def test_the_counts_are_those_of_pyarrow() -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(ROWS), sink, row_group_size=40)
    footer = pq.read_metadata(pa.BufferReader(sink.getvalue()))
    theirs = [
        [(c.path_in_schema, c.num_values) for c in (footer.row_group(g).column(i) for i in range(footer.num_columns))]
        for g in range(footer.num_row_groups)
    ]
    assert chunks(pa.BufferReader(sink.getvalue())) == theirs
    assert len(theirs) == len(theirs[0]) == 3


def test_no_damaged_footer_ends_the_process() -> None:
    """pyarrow's own count of values aborts at some of these bits, where reading the rows is an error."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": [[1], None]}), sink, store_schema=False)
    data = sink.getvalue().to_pybytes()
    start, wrong_histograms = len(data) - 8 - int.from_bytes(data[-8:-4], "little"), 0
    for place in range(start * 8, (len(data) - 8) * 8):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        try:
            pq.read_metadata(pa.BufferReader(flipped))
            chunks(BytesIO(flipped))
            pq.read_table(pa.BufferReader(flipped))
        except (OSError, ValueError, pa.ArrowException) as error:
            wrong_histograms += "histogram size mismatch" in str(error)
    assert wrong_histograms > 0


@pytest.mark.parametrize(
    "damage",
    [
        b"\xff" * 40,
        b"",
        b"\x19\xfc" + b"\xff" * 9 + b"\x7f",
        b"\x4c" * 5000,
        b"\x19\xf7" + b"\xff" * 8 + b"\x7f",
        b"\x16" + b"\x80" * 10**6,
    ],
)
def test_what_is_no_footer_is_a_value_error(damage: bytes) -> None:
    with pytest.raises(ValueError, match="its footer cannot be read"):
        chunks(BytesIO(b"PAR1" + damage + len(damage).to_bytes(4, "little") + b"PAR1"))
    with pytest.raises(ValueError, match="longer than the file"):
        chunks(BytesIO(b"PAR1" + damage + b"\xff\xff\xff\x7fPAR1"))
