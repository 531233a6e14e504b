"""Which code and which settings made a shard."""

import json
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from stepforge.pipelines.engines.settings import SERVER_FREE_TO_CHANGE
from stepforge.pipelines.settings.run_file import RunFile


def _installed_version() -> str:
    try:
        return version("stepforge")
    except PackageNotFoundError:
        return "0+source"


VERSION = _installed_version()

FREE_TO_CHANGE = ("workers", "problems", "export", "max_failure_share", "train", "watch")
"""Settings that may differ when a run is gone on with: they add, or say where and how fast, never what."""


def content_settings(run: RunFile) -> dict[str, Any]:
    """Return the settings that decide what a shard holds."""
    settings: dict[str, Any] = run.model_dump(mode="json", exclude=set(FREE_TO_CHANGE))
    for source in settings["generate"]:
        source.pop("limit", None)  # a larger limit adds rows, like a larger ``problems``
    for engine in (settings["engine"], settings["judge"]):
        if engine is not None and engine["kind"] == "server":
            for name in SERVER_FREE_TO_CHANGE:
                engine.pop(name)
    return settings


def content_digest(run: RunFile) -> str:
    """Return a digest of the settings that decide what a shard holds."""
    text = json.dumps(content_settings(run), sort_keys=True)
    return blake2b(text.encode(), digest_size=12).hexdigest()
