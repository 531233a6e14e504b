"""Small JSON files that notice their own damage by the CRC-32 of all else in them.

A flipped bit often leaves JSON that can still be read, and says something else.
"""

import json
from typing import Any
from zlib import crc32

from stepforge.pipelines.storage.regular_files import read_small
from stepforge.pipelines.storage.store import AnyPath, write_text
from stepforge.schemas.errors import RunFailed


def with_checksum(content: dict[str, Any]) -> dict[str, Any]:
    return {**content, "crc": _checksum(content)}


def without_checksum(content: Any) -> dict[str, Any]:
    """Return the content without its checksum.

    Raises:
        ValueError: it is not what was written.
    """
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    rest = {key: value for key, value in content.items() if key != "crc"}
    if "crc" not in content:  # also where a damaged key is no longer called so
        raise ValueError("it has no checksum")
    if content["crc"] != _checksum(rest):
        raise ValueError("its checksum does not fit")
    return rest


def write_checksummed(path: AnyPath, content: dict[str, Any]) -> None:
    write_text(path, json.dumps(with_checksum(content)) + "\n")


def read_checksummed(path: AnyPath, run: str | None = None) -> dict[str, Any]:
    """Read a file; ``run`` is the digest of the settings that it must belong to."""
    try:
        content = without_checksum(json.loads(read_small(path)))
        if run is not None and content.get("run") != run:
            raise ValueError("it belongs to a run with other settings")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise RunFailed(f"{path}: damaged file ({error}); delete it and run again") from error
    return content


def _checksum(content: dict[str, Any]) -> str:
    return f"{crc32(json.dumps(content, sort_keys=True).encode()):08x}"
