"""What a run wrote into ``datasets/``: the SHA-256 of every file, and what it was made from. Sealed and kept apart."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from stepforge.pipelines.storage.checksummed import read_checksummed, write_checksummed
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.regular_files import open_regular
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.record import Record


class FileStamp(Record):
    size: int
    sha256: str


class Stamp(Record):
    """The files of one data set, or of the card, by name."""

    inputs: str = ""
    """Digest of what it was made from: shards and settings, or the data sets that a card describes."""
    files: dict[str, FileStamp]


def stamp_file(layout: Layout, name: str) -> AnyPath:
    return layout.folder / "exports" / f"{name}.json"


def card_stamp_file(layout: Layout) -> AnyPath:
    return layout.folder / "card.json"


def read_stamp(path: AnyPath) -> Stamp | None:
    """Return a stamp; None if there is no valid one: missing, damaged, or of another version."""
    if not path.exists():
        return None
    try:
        return Stamp.model_validate(read_checksummed(path))
    except (RunFailed, ValidationError):
        return None


def write_stamp(path: AnyPath, files: Mapping[str, FileStamp], inputs: str = "") -> None:
    write_checksummed(path, Stamp(inputs=inputs, files=dict(files)).model_dump())


def stamp_of(path: Path) -> FileStamp:
    with os.fdopen(open_regular(path), "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileStamp(size=file.tell(), sha256=digest)


def stamp_of_text(text: str) -> FileStamp:
    return stamp_of_bytes(text.encode())


def stamp_of_bytes(content: bytes) -> FileStamp:
    return FileStamp(size=len(content), sha256=hashlib.sha256(content).hexdigest())
