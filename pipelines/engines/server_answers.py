"""What a completions server answers, read with distrust: anything unexpected is an error, never a wrong text."""

import math
from collections.abc import Sequence
from typing import Any

import httpx

from stepforge.pipelines.engines.tokenization import ModelTokenizer
from stepforge.schemas.protocols import Completion
from stepforge.schemas.rollout import Finish

FINISHES: dict[str | None, Finish] = {"stop": "stop", "length": "length"}
LONGEST_MESSAGE = 200


def failed(prompt_tokens: int, message: str) -> Completion:
    """Return the completion of a request that failed."""
    return Completion(text="", finish="error", tokens=0, prompt_tokens=prompt_tokens, error=message)


def read_completion(response: httpx.Response, tokenizer: ModelTokenizer | None, stop: Sequence[str]) -> Completion:
    """Return what a server wrote, as tokens if there is a tokenizer."""
    if response.status_code != 200:
        return failed(0, f"the server answered {response.status_code}: {_message(response)}")
    try:
        answer = response.json()
        choice = answer["choices"][0]
        if not isinstance(choice["text"], str):
            raise TypeError("its text is no text")
        completion = _read_choice(choice, answer.get("usage") or {}, tokenizer, stop)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        return failed(0, f"the server's answer cannot be read: {type(error).__name__}: {str(error)[:LONGEST_MESSAGE]}")
    return completion


def _read_choice(
    choice: dict[str, Any], usage: dict[str, Any], tokenizer: ModelTokenizer | None, stop: Sequence[str]
) -> Completion:
    finish = FINISHES.get(choice.get("finish_reason"), "error")
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    completion = Completion(
        text=choice["text"],
        finish=finish,
        tokens=int(usage.get("completion_tokens") or 0),
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        cached_tokens=int(cached),
        mean_logprob=_mean_logprob(choice),
        error=None if finish != "error" else f"the server ended the request: {choice.get('finish_reason')}",
    )
    if tokenizer is None:
        return completion
    ids = choice.get("token_ids")
    if not isinstance(ids, list):
        raise TypeError("no token_ids; leave out the engine's tokenizer setting for this server")
    by_text = finish == "stop" and isinstance(choice.get("stop_reason"), str)
    wanted = ids[:-1] if finish == "stop" and _ends_with_end(choice, ids, tokenizer) else ids
    written = tokenizer.read(wanted, stop if by_text or "stop_reason" not in choice else ())
    update = {"text": written.text, "token_ids": written.token_ids, "token_ends": written.token_ends}
    logprobs = _logprobs(choice, ids, written.token_ids)
    return completion.model_copy(update={**update, "tokens": len(ids), "logprobs": logprobs})


def _ends_with_end(choice: dict[str, Any], ids: list[int], tokenizer: ModelTokenizer) -> bool:
    """vLLM tells by ``stop_reason`` (a text where a stop text ended it); of others the last token is looked at."""
    if "stop_reason" in choice:
        return bool(ids) and not isinstance(choice["stop_reason"], str)
    return bool(ids) and ids[-1] in tokenizer.end_tokens


def _logprobs(choice: dict[str, Any], ids: list[int], kept: tuple[int, ...]) -> tuple[float, ...]:
    """Of the tokens kept, where the server tells them of each token; else nothing."""
    values = (choice.get("logprobs") or {}).get("token_logprobs") or []
    if len(values) < len(kept) or tuple(ids[: len(kept)]) != kept:
        return ()
    known = [float(v) for v in values[: len(kept)] if v is not None]
    return tuple(known) if len(known) == len(kept) and all(map(math.isfinite, known)) else ()


def _mean_logprob(choice: dict[str, Any]) -> float | None:
    values = (choice.get("logprobs") or {}).get("token_logprobs") or []
    known = [float(v) for v in values if v is not None]
    mean = sum(known) / len(known) if known else math.nan
    return mean if math.isfinite(mean) else None


def _message(response: httpx.Response) -> str:
    """The server's own words, where it has any."""
    try:
        answer = response.json()
        error = answer.get("error", answer)
        text = error.get("message", "") if isinstance(error, dict) else str(error)
    except (ValueError, AttributeError):
        text = response.text
    return " ".join(str(text).split())[:LONGEST_MESSAGE]
