"""Engines: tokens in, tokens out. Importing this loads no model library; opening an engine does."""

from stepforge.pipelines.engines.settings import (
    EMBEDDED,
    AnyEngine,
    OwnEngine,
    ScriptedEngineSettings,
    ServerEngineSettings,
    TransformersEngineSettings,
    VllmEngineSettings,
)

__all__ = [
    "EMBEDDED",
    "AnyEngine",
    "OwnEngine",
    "ScriptedEngineSettings",
    "ServerEngineSettings",
    "TransformersEngineSettings",
    "VllmEngineSettings",
]
