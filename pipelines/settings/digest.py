"""Which code and which settings made a shard."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version

from pydantic import JsonValue

from stepforge.pipelines.engines.settings import FREE_TO_CHANGE as ENGINE_FREE_TO_CHANGE
from stepforge.pipelines.engines.settings import SERVER_FREE_TO_CHANGE
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.layout import ShardStage

try:
    VERSION = version("stepforge")
except PackageNotFoundError:
    VERSION = "0+source"

FREE_TO_CHANGE = ("workers", "problems", "export", "max_failure_share", "train", "test_share", "watch")
"""Settings that no shard depends on: they add work, or set location, speed or export."""
DEPENDS_ON: dict[ShardStage, tuple[str, ...]] = {
    "generate": ("seed", "generate", "rows_per_shard"),
    "solve": ("seed", "engine", "engines", "policy", "solutions", "solve"),
    "vet": ("vet",),
    "label": ("seed", "engine", "engines", "policy", "judge", "scorer", "label"),
    "curate": ("curate",),
}
"""The settings that a stage's shards depend on, besides the shards that they are made from."""
ADDED: tuple[tuple[str, str, object], ...] = (
    ("policy", "ways", []),
    ("policy", "completer", None),
    ("generate", "over_limit", "undetermined"),
    ("generate", "stream", False),
    ("vet", "model", None),
)
"""Settings added later: table, name, and the default that leaves shards unchanged."""
FIXED = ("seed", "generate", "rows_per_shard", "engine", "engines", "policy")
"""Settings that cannot change in a run folder: problems and policy define the run."""


ContentSettings = dict[str, JsonValue]
"""A run's settings as JSON, by table."""


def content_settings(run: RunFile) -> ContentSettings:
    settings = run.model_dump(mode="json", exclude=set(FREE_TO_CHANGE))
    for source in settings["generate"]:
        source.pop("limit", None)  # a larger limit adds rows, like a larger ``problems``, and so do more attempts
        source.pop("attempts", None)
    for engine in (settings["engine"], settings["judge"], *settings["engines"].values()):
        if engine is not None and engine["kind"] == "server":
            for name in SERVER_FREE_TO_CHANGE:
                engine.pop(name)
        elif engine is not None:
            engine.update(ENGINE_FREE_TO_CHANGE.get(engine["kind"], {}))
    if settings["solve"] is not None:  # a search goes by the scorer; independent samples do not depend on it
        settings["solve"]["scorer"] = settings["scorer"]
    for table, name, default in ADDED:  # a run folder from before there were any is still current
        for part in settings[table] if isinstance(settings[table], list) else [settings[table]]:
            if part.get(name) == default:
                part.pop(name, None)
    for way in settings["policy"].get("ways", ()):
        for name in [name for name in ("engine", "chat") if way[name] is None]:
            del way[name]
    for name in ("scorer", "solve", "engines"):
        if not settings[name]:
            del settings[name]
    return settings


def content_digest(run: RunFile) -> str:
    """Return a digest of the settings fixed for a run folder; every shard carries it."""
    settings = content_settings(run)
    return digest_of({name: settings[name] for name in FIXED if name in settings})


def settings_digest(run: RunFile) -> str:
    """Return a digest of all settings that decide what shards hold."""
    return digest_of(content_settings(run))


def stage_digest(run: RunFile, stage: ShardStage) -> str:
    settings = content_settings(run)
    return digest_of({name: settings[name] for name in DEPENDS_ON[stage] if name in settings})


def digest_of(settings: Mapping[str, object]) -> str:
    return blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=12).hexdigest()
