"""What is kept for the next run belongs to one set of settings; under others it is refused, never mixed."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from stepforge.pipelines.storage.store import write_text
from stepforge.schemas.errors import BadInput

NOTE = "settings.json"


def keep_under(folder: Path, settings: Mapping[str, Any]) -> None:
    """Note in a folder under which settings its files are made.

    Raises:
        BadInput: it holds files that were made under others.
    """
    note, text = folder / NOTE, json.dumps(settings, sort_keys=True, indent=1) + "\n"
    if not note.exists():
        if any(folder.glob("part-*")):
            raise BadInput(f"{folder}: holds files, and {NOTE} is missing; delete it, or choose another --folder")
        write_text(note, text)
    elif note.read_text(encoding="utf-8") != text:
        raise BadInput(f"{folder}: was made under other settings; delete it, or choose another --folder")


def digest_of(*parts: str) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=6).hexdigest()
