"""The lines of a file, plain or compressed, each bounded."""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast

import pyarrow as pa

from stepforge.schemas.errors import BadInput

MAX_LINE = 16 * 2**20
"""Most bytes of one line."""
MAX_UNPACKED = 64 * 2**30
MAX_RATIO = 200
"""A compressed file may unpack to 64 MiB or this many times its size, and never beyond ``MAX_UNPACKED`` bytes."""
MIN_UNPACKED = 64 * 2**20


class Mark(NamedTuple):
    offset: int
    number: int


def unpacked(path: Path) -> IO[bytes]:
    """Open a file for reading, unpacked where its name says that it is compressed."""
    name = path.name.lower()
    if name.endswith(".gz"):
        return cast(IO[bytes], gzip.open(path))
    if name.endswith(".zst"):
        return cast(IO[bytes], io.BufferedReader(cast(io.RawIOBase, pa.input_stream(path, compression="zstd"))))
    return path.open("rb")


class Lines:
    """The lines of a file from a mark on, each bounded; ``mark`` is where the next one begins."""

    def __init__(self, path: Path, mark: Mark) -> None:
        self.path = path
        self.mark = mark
        self.compressed = path.suffix.lower() in (".gz", ".zst")
        self.most = min(MAX_UNPACKED, max(MIN_UNPACKED, MAX_RATIO * path.stat().st_size))

    def __iter__(self) -> Iterator[bytes]:
        with unpacked(self.path) as file:
            try:
                self._skip(file)
                while line := file.readline(MAX_LINE + 1):
                    yield self._checked(line)
            except (gzip.BadGzipFile, EOFError, zlib.error, pa.ArrowException) as error:
                raise self._torn(error) from error
            except OSError as error:
                if self.compressed and error.errno is None:  # how Arrow says that a zstd frame is damaged
                    raise self._torn(error) from error
                raise

    def _torn(self, error: Exception) -> BadInput:
        kind = "gzip" if self.path.suffix.lower() == ".gz" else "zstd"
        return BadInput(f"{self._place}: not a whole {kind} file ({str(error)[:200]}); recreate it")

    def _skip(self, file: IO[bytes]) -> None:
        """Go to the mark; zstd files must be unpacked up to there."""
        if file.seekable():
            file.seek(self.mark.offset)
            return
        left = self.mark.offset
        while left > 0 and (block := file.read(min(left, 1 << 20))):
            left -= len(block)

    @property
    def _place(self) -> str:
        return f"{self.path.name}, line {self.mark.number}"

    def _checked(self, line: bytes) -> bytes:
        if len(line) > MAX_LINE:
            raise BadInput(f"{self._place}: over the limit of {MAX_LINE >> 20} MiB per line; is each line one row?")
        offset = self.mark.offset + len(line)
        if self.compressed and offset > self.most:
            raise BadInput(
                f"{self._place}: unpacks to over {self.most >> 20} MiB, the limit; unpack it if that is right"
            )
        if self.mark.offset == 0:
            if line.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise BadInput(f"{self.path.name}: is UTF-16; store it as UTF-8")
            line = line.removeprefix(b"\xef\xbb\xbf")
        self.mark = Mark(offset, self.mark.number + 1)
        return line
