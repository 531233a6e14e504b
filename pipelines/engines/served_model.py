"""What a server serves and can do: queried once, when the engine opens."""

from typing import Literal, NamedTuple

from stepforge.pipelines.engines.server_answers import parsed, server_message
from stepforge.pipelines.engines.server_connection import CONNECT_SECONDS, NotAnswered, NotSent, ServerConnection
from stepforge.pipelines.engines.settings import ServerEngineSettings
from stepforge.schemas.errors import BadInput

MODELS_BYTES = 16 << 20
"""Most bytes read of a list of models; large gateways list thousands."""
LONGEST_LIST = 1_000
"""Characters of the models' names that are shown."""
LONGEST_NAME = 500
"""Characters of a model's name."""
Way = Literal["continue_final_message", "assistant_message", "never"]
WAYS: dict[str, Way] = {
    "vllm": "continue_final_message",
    "sglang": "continue_final_message",
    "llamacpp": "assistant_message",
}
"""Servers known by the owner they name at ``/models``, and how each continues from an assistant's message."""


class Served(NamedTuple):
    name: str
    longest: int | None
    """The longest context in tokens, if the server reports it."""
    owner: str
    """The model's owner as reported, which identifies the kind of server; empty if not reported."""


async def served(connection: ServerConnection, settings: ServerEngineSettings) -> Served:
    """Ask which models there are, and return the one that is wanted.

    Raises:
        BadInput: the server cannot be reached, refuses the key, or does not serve the model.
    """
    address = settings.address
    try:
        reply = await connection.get("models", seconds=CONNECT_SECONDS, most=MODELS_BYTES)
    except (NotAnswered, NotSent) as error:
        raise BadInput(
            f"engine.address: no server answers at {address} ({error}); start it, or correct the address"
        ) from None
    if reply.status in (401, 403):
        raise BadInput(f"engine.api_key_variable: {address} refuses the key ({reply.status})")
    if reply.status in (404, 405) and settings.model:
        return Served(settings.model, None, "")
    models = _models(reply.body) if reply.status == 200 else None
    if models is None:
        words = server_message(reply.body, connection.redacted)
        raise BadInput(
            f"engine.address: {address} does not answer like an OpenAI server ({reply.status} at /models: {words})"
        )
    name = settings.model or (next(iter(models)) if len(models) == 1 else None)
    if name not in models:
        wanted = f"does not serve {name}" if name else "serves several models"
        there = connection.redacted(", ".join(sorted(models)[:10]))[:LONGEST_LIST]
        raise BadInput(f"engine.model: {address} {wanted}; it has {there or 'none'}")
    if not name.isprintable() or not 0 < len(name) <= LONGEST_NAME:
        raise BadInput(f"engine.address: {address} gives its model the name {name[:40]!a}, which cannot be stored")
    if connection.holds_key(name):
        raise BadInput(f"engine.address: {address} uses the API key as its model's name; no request was sent")
    longest, owner = models[name].get("max_model_len"), models[name].get("owned_by")
    return Served(
        name, longest if type(longest) is int and longest > 0 else None, owner[:40] if isinstance(owner, str) else ""
    )


def _models(body: bytes) -> dict[str, dict[str, object]] | None:
    try:
        return {str(model["id"]): model for model in parsed(body)["data"] if isinstance(model, dict)}
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
