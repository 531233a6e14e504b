"""What is asked of a server: once which model it serves, then completions or chats."""

from typing import Literal, NamedTuple

from stepforge.pipelines.engines.server_answers import parsed, server_message
from stepforge.pipelines.engines.server_connection import CONNECT_SECONDS, NotAnswered, NotSent, ServerConnection
from stepforge.pipelines.engines.settings import ServerEngineSettings
from stepforge.pipelines.engines.tokenization import ModelTokenizer
from stepforge.schemas.errors import BadInput
from stepforge.schemas.protocols import Prompt, Sampling

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
BODY_BYTES = 1 << 20
TOKEN_BYTES = 2048
"""Bytes allowed for an answer, and per token that it tells of: its text, id, log-probability and name."""


class Served(NamedTuple):
    name: str
    longest: int | None
    """The longest context in tokens, if the server reports it."""
    owner: str
    """The model's owner as reported, which identifies the kind of server; empty if not reported."""


async def served(connection: ServerConnection, settings: ServerEngineSettings) -> Served:
    """Ask which models there are, and return the one that is wanted. Raises BadInput: the server cannot be reached,
    refuses the key, or does not serve the model."""
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


def answer_bytes(prompt: Prompt, sampling: Sampling) -> int:
    read = len(prompt.token_ids) if sampling.scored else 0
    return BODY_BYTES + TOKEN_BYTES * (read + sampling.max_tokens)


def completion_request(
    prompt: Prompt, sampling: Sampling, *, model: str, tokenizer: ModelTokenizer | None, longest: int | None
) -> dict[str, object]:
    """Return the body for ``/completions``: exact tokens if there is a tokenizer, else text."""
    request = {**_drawn(model, sampling), "prompt": prompt.text}
    if tokenizer is not None:
        ids = list(prompt.token_ids or tokenizer.encode(prompt.text))
        request |= {"prompt": ids, "return_token_ids": True}
        if longest is not None and len(ids) < longest:
            request["max_tokens"] = min(sampling.max_tokens, longest - len(ids))
        if sampling.scored:
            request |= {"prompt_logprobs": 0, "max_tokens": 1}
    if not request["prompt"]:
        raise ValueError("the prompt is empty")
    return request


def chat_request(prompt: Prompt, sampling: Sampling, *, model: str, way: Way) -> dict[str, object]:
    if not prompt.turns:
        raise ValueError('this prompt is not a conversation; set chat = true when engine.api = "chat"')
    request = {**_drawn(model, sampling), "messages": [turn.model_dump() for turn in prompt.turns]}
    if prompt.turns[-1].role == "assistant":
        if way == "never":
            raise ValueError("this server does not continue from the beginning of a solution")
        if way == "continue_final_message":
            request |= {"continue_final_message": True, "add_generation_prompt": False}
    return request


def _drawn(model: str, sampling: Sampling) -> dict[str, object]:
    request: dict[str, object] = {
        "model": model,
        "n": 1,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
    }
    return {**request, "stop": list(sampling.stop)} if sampling.stop else request
