"""The body of a request, for completions and for chats."""

from stepforge.pipelines.engines.served_model import Way
from stepforge.pipelines.engines.tokenization import ModelTokenizer
from stepforge.schemas.protocols import Prompt, Sampling

BODY_BYTES = 1 << 20
TOKEN_BYTES = 2048
"""Bytes allowed for an answer, and per requested token: its text, id, log-probability and name."""


def answer_bytes(sampling: Sampling) -> int:
    return BODY_BYTES + TOKEN_BYTES * sampling.max_tokens


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
