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
from stepforge.schemas.protocols import Engine

__all__ = [
    "EMBEDDED",
    "AnyEngine",
    "ScriptedEngineSettings",
    "ServerEngineSettings",
    "TransformersEngineSettings",
    "VllmEngineSettings",
    "open_engine",
]


async def open_engine(settings: AnyEngine | OwnEngine) -> Engine:
    """Start an engine; the caller closes it. The event loop stays free while a model loads.

    Raises: BadInput: the model, the server or the library is missing, or the settings do not fit.
        EngineDead: it did not start.
    """
    match settings:
        case ScriptedEngineSettings():
            from stepforge.pipelines.engines.scripted_engine import ScriptedEngine

            return ScriptedEngine(settings)
        case ServerEngineSettings():
            from stepforge.pipelines.engines.server_engine import ServerEngine

            return await ServerEngine.open(settings)
        case TransformersEngineSettings():
            from stepforge.pipelines.engines.transformers_engine import TransformersEngine

            return await TransformersEngine.open(settings)
        case VllmEngineSettings():
            from stepforge.pipelines.engines.vllm_engine import VllmEngine

            return await VllmEngine.open(settings)
        case _:
            return await settings.open()
