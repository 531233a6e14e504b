"""Small files that notice their own damage: JSON objects with the CRC-32 of all else in them, text that ends in one.

A flipped bit often leaves JSON or TOML that can still be read, and says something else.
"""

import json
from typing import Any
from zlib import crc32

from stepforge.pipelines.storage.regular_files import read_small
from stepforge.pipelines.storage.store import AnyPath, write_text
from stepforge.schemas.errors import RunFailed

MARK = "\n# crc32 "
"""Begins the last line of a sealed text."""


def sealed(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content with its checksum."""
    return {**content, "crc": _checksum(content)}


def opened(content: Any) -> dict[str, Any]:
    """Return the content without its checksum.

    Raises:
        ValueError: it is not what was sealed.
    """
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    rest = {key: value for key, value in content.items() if key != "crc"}
    if "crc" not in content:  # also where a damaged key is no longer called so
        raise ValueError("it has no checksum")
    if content["crc"] != _checksum(rest):
        raise ValueError("its checksum does not fit")
    return rest


def write_sealed(path: AnyPath, content: dict[str, Any]) -> None:
    """Commit a small JSON file."""
    write_text(path, json.dumps(sealed(content)) + "\n")


def read_sealed(path: AnyPath, run: str | None = None) -> dict[str, Any]:
    """Return what was written; ``run`` is the digest of the settings that it must belong to.

    Raises:
        RunFailed: the file is damaged or another run's; the line names it.
    """
    try:
        content = opened(json.loads(read_small(path)))
        if run is not None and content.get("run") != run:
            raise ValueError("it belongs to a run with other settings")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise RunFailed(f"{path}: damaged file ({error}); delete it and run again") from error
    return content


def sealed_text(text: str) -> str:
    """Return a text with its checksum in a last line, a comment in TOML."""
    text = text.rstrip("\n")
    return f"{text}{MARK}{crc32(text.encode()):08x}\n"


def opened_text(text: str) -> str:
    """Return a text as it was sealed; one without a checksum passes.

    Raises:
        ValueError: it is not what was sealed.
    """
    content, mark, checksum = text.rpartition(MARK)
    if mark and checksum.strip() != f"{crc32(content.encode()):08x}":
        raise ValueError("its checksum does not fit")
    return content if mark else text


def _checksum(content: dict[str, Any]) -> str:
    return f"{crc32(json.dumps(content, sort_keys=True).encode()):08x}"
