"""The location of a run: a local folder, or a path in an object store that pyarrow reads (``s3://``, ``gs://``,
``hf://``).

The commit rule depends on the storage. A local file is written to a temporary name, fsynced, renamed, and its folder
fsynced. An object is put in one request and is complete or absent, so it needs no temporary name.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

from stepforge.schemas.errors import BadInput, RunFailed, first_line

SCHEMES = ("s3", "gs", "gcs", "hf")


class Stamp(NamedTuple):
    st_size: int
    st_mtime_ns: int


@dataclass(frozen=True, order=True)
class StorePath:
    """The part of ``pathlib.Path`` that a run needs, for objects of a store. It can be sent to workers."""

    key: str
    scheme: str
    filesystem: Any = field(compare=False, repr=False)

    def __truediv__(self, name: str) -> "StorePath":
        return replace(self, key=f"{self.key}/{name}")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.key}"

    @property
    def name(self) -> str:
        return self.key.rsplit("/", 1)[-1]

    @property
    def parent(self) -> "StorePath":
        return replace(self, key=self.key.rsplit("/", 1)[0])

    def exists(self) -> bool:
        """Whether there is an object with this key, or any below it."""
        from pyarrow.fs import FileType

        return bool(self.filesystem.get_file_info(self.key).type != FileType.NotFound)

    def open(self, mode: str = "rb") -> Any:
        if mode != "rb":
            raise ValueError("objects are opened for reading only; write_bytes puts one whole")
        return self.filesystem.open_input_file(self.key)

    def read_bytes(self) -> bytes:
        with self.open() as file:
            return bytes(file.read())

    def write_bytes(self, data: bytes) -> int:
        """Put an object in one request: readers see the old one or the new one, never a part."""
        with self.filesystem.open_output_stream(self.key) as file:
            file.write(data)
        return len(data)

    def glob(self, pattern: str) -> Iterator["StorePath"]:
        """Yield the objects directly below this place with a matching name, in no order."""
        yield from (path for path, _ in self._below(pattern, recursive=False))

    def rglob(self, pattern: str) -> Iterator["StorePath"]:
        """Yield the objects anywhere below this place with a matching name, in no order."""
        yield from (path for path, is_object in self._below(pattern, recursive=True) if is_object)

    def unlink(self, missing_ok: bool = False) -> None:
        try:
            self.filesystem.delete_file(self.key)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:
        """A store has no folders."""

    def stat(self) -> Stamp:
        info = self.filesystem.get_file_info(self.key)
        if info.size is None:
            raise FileNotFoundError(str(self))
        return Stamp(int(info.size), int(info.mtime_ns or 0))

    def _below(self, pattern: str, *, recursive: bool) -> Iterator[tuple["StorePath", bool]]:
        """Yield entries below with a matching name, and whether each is an object."""
        from pyarrow.fs import FileSelector, FileType

        below = FileSelector(self.key, recursive=recursive, allow_not_found=True)
        for found in self.filesystem.get_file_info(below):
            path = replace(self, key=found.path)
            if fnmatchcase(path.name, pattern):
                yield path, found.type == FileType.File


AnyPath = Path | StorePath


def listed(folder: AnyPath, pattern: str) -> list[AnyPath]:
    """Return entries directly in a folder with a matching name, sorted by name."""
    return sorted(folder.glob(pattern), key=lambda path: path.name)


def place_of(text: str | Path) -> AnyPath:
    address = str(text)
    scheme, separator, rest = address.partition("://")
    if not separator:
        return Path(address)
    if scheme == "file":
        return Path(rest)
    if scheme not in SCHEMES:
        raise BadInput(f"{address}: unsupported address; local folders, {', '.join(f'{s}://' for s in SCHEMES)} are")
    if "@" in urlsplit(address).netloc:
        raise BadInput(f"{scheme}://…: a name or password in an address ends up in logs; use the environment")
    return _store_place(address, scheme)


def _store_place(address: str, scheme: str) -> StorePath:
    import pyarrow as pa
    from pyarrow.fs import FileSystem

    try:
        filesystem, key = FileSystem.from_uri(address.replace("gcs://", "gs://", 1))
    except (pa.ArrowException, OSError, ValueError, ImportError) as error:
        raise BadInput(f"{address}: this store cannot be opened ({first_line(error)})") from None
    return StorePath(key.rstrip("/"), scheme, filesystem)


def io_failure(error: OSError, path: AnyPath | None = None) -> RunFailed:
    """Return a file system's error as one line that names the path."""
    place = path or error.filename or "the file system"
    return RunFailed(f"{place}: {error.strerror or error}; finished work is kept, run again once that is fixed")


@contextmanager
def naming(path: AnyPath) -> Iterator[None]:
    """Name the path in file system errors raised inside (a full disk names none). Raises RunFailed: in place of an
    ``OSError``."""
    try:
        yield
    except OSError as error:
        raise io_failure(error, path) from error


@contextmanager
def committed(path: AnyPath) -> Iterator[BinaryIO]:
    """Yield a file to write to; on exit without an error it durably replaces ``path``.

    On an error ``path`` is unchanged.
    """
    with naming(path):
        if isinstance(path, StorePath):
            buffer = BytesIO()
            yield buffer
            path.write_bytes(buffer.getvalue())
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{uuid4().hex[:12]}.tmp")
        try:
            with beside.open("xb") as file:  # a new file, never an existing one or a link
                yield file
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
        fsync_folder(path.parent)


def write_text(path: AnyPath, text: str) -> None:
    with committed(path) as file:
        file.write(text.encode())


def fsync_folder(folder: Path) -> None:
    with naming(folder):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
