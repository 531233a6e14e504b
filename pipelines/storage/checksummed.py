"""Small JSON files with a CRC-32 of their content, to detect damage.

A flipped bit often leaves JSON that is readable but different.
"""

import json
from collections.abc import Mapping
from typing import TypeVar
from zlib import crc32

from pydantic import ValidationError

from stepforge.pipelines.storage.regular_files import read_small
from stepforge.pipelines.storage.store import AnyPath, write_text
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.record import Record

R = TypeVar("R", bound=Record)


def with_checksum(content: Mapping[str, object]) -> dict[str, object]:
    return {**content, "crc": _checksum(content)}


def without_checksum(content: object) -> dict[str, object]:
    """Return the content without its checksum. Raises ValueError: it is not what was written."""
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    rest = {key: value for key, value in content.items() if key != "crc"}
    if "crc" not in content:  # also if the damaged part is the key itself
        raise ValueError("it has no checksum")
    if content["crc"] != _checksum(rest):
        raise ValueError("its checksum does not match")
    return rest


def write_checksummed(path: AnyPath, content: Mapping[str, object]) -> None:
    write_text(path, json.dumps(with_checksum(content)) + "\n")


def read_checksummed(path: AnyPath, run: str | None = None) -> dict[str, object]:
    """Read a file; ``run`` is the digest of the settings that it must belong to."""
    try:
        content = without_checksum(json.loads(read_small(path)))
        if run is not None and content.get("run") != run:
            raise ValueError("it belongs to a run with other settings")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise RunFailed(f"{path}: damaged file ({error}); delete it and run again") from error
    return content


def read_record(path: AnyPath, record: type[R], what: str, run: str | None = None) -> R:
    """Read a file that holds a record; ``what`` is a word for it in messages. Raises RunFailed: it is damaged, belongs
    to another run, or holds something else; the line names it."""
    try:
        return record.model_validate(read_checksummed(path, run))
    except ValidationError:
        raise RunFailed(f"{path}: not {what} of this version; delete it and run again") from None


def _checksum(content: Mapping[str, object]) -> str:
    return f"{crc32(json.dumps(content, sort_keys=True).encode()):08x}"
