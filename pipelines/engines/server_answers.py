"""A server's answers, read with distrust: anything unexpected is an error, never a wrong text."""

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from stepforge.pipelines.engines.server_connection import Reply
from stepforge.pipelines.engines.text_engine import FINISHES
from stepforge.pipelines.engines.tokenization import ModelTokenizer
from stepforge.schemas.protocols import Completion

LONGEST_MESSAGE = 200
LONGEST_PAGE = 10_000
"""Bytes examined of an answer that is not JSON."""
REFUSED = frozenset({400, 413, 422})
"""Statuses about the request; others (401, 403, 404, ...) are about the server, and may change."""
LEAST_LOGPROB, ROUNDING = -1e6, 1e-3
Redacted = Callable[[str], str]
"""Removes the API key from a text."""
UNFINISHED = "\ufffd"
"""What a decoder shows for a character whose last bytes were not generated; servers omit it."""


_MODEL = re.compile(rb'"model"\s*:\s*"((?:[^"\\]|\\.){1,500})"')
"""The model that an answer names; within a text the quotes are escaped."""


class NoText(TypeError):
    """The model itself wrote no text: to ask again until it does would prefer some of its answers to others."""


def read_completion(
    reply: Reply, tokenizer: ModelTokenizer | None, stop: Sequence[str], redacted: Redacted = str
) -> Completion:
    if reply.status != 200:
        words = server_message(reply.body, redacted)
        return Completion.failed(
            f"the server answered {reply.status}: {words}", "request" if reply.status in REFUSED else "server"
        )
    try:
        answer = parsed(reply.body)
        choice = _only_choice(answer, redacted)
        completion = _read_choice(choice, answer.get("usage") or {}, redacted)
        if tokenizer is not None and completion.finish != "error":
            completion = _with_tokens(completion, choice, tokenizer, stop)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        words = redacted(str(error))[:LONGEST_MESSAGE]
        message = f"the server's answer cannot be read: {type(error).__name__}: {words}"
        return Completion.failed(message, "request" if isinstance(error, NoText) else "server")
    return completion


def prompt_logprobs(body: bytes, token_ids: Sequence[int], last: int) -> list[float]:
    """Return the log-probabilities of a prompt's last tokens, from a vLLM server; nothing from another."""
    try:
        told = parsed(body)["choices"][0]["prompt_logprobs"]
        both = list(zip(token_ids, told, strict=True))[1:][-last:]  # the first token follows nothing
        chances = [float(of[str(token)]["logprob"]) for token, of in both]
    except (ValueError, LookupError, TypeError, OverflowError):
        return []
    return chances if all(map(_is_logprob, chances)) else []


def answering_model(body: bytes) -> str | None:
    named = _MODEL.search(body)
    return named[1].decode("utf-8", "replace") if named else None


def _only_choice(answer: Any, redacted: Redacted) -> Any:
    """Return the one choice requested. Raises ValueError: there is none, with the server's own message if any; or
    another was sent instead."""
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices:
        words = server_message(json.dumps(answer).encode(), redacted)
        raise ValueError(f"it has no choices: {words}" if words else "it has no choices")
    if any(told := [failed.get("error") for failed in (answer, choices[0])]):  # what text there is, is a part
        raise ValueError(f"it reports an error: {server_message(json.dumps(told[0] or told[1]).encode(), redacted)}")
    if len(choices) > 1 or choices[0].get("index", 0) not in (0, None):
        raise ValueError(
            f"{len(choices)} choices, the first with index {choices[0].get('index')!r:.20}; one was requested"
        )
    return choices[0]


def parsed(body: bytes) -> Any:
    """Return a body as JSON. Raises ValueError: it is not JSON, or is nested too deep to be read."""
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("JSON nested too deep") from None
    except json.JSONDecodeError:
        start = " ".join(body[:60].decode("utf-8", "replace").split())
        raise ValueError(f"not JSON, it begins {start!r}" if start else "it is empty") from None


def _read_choice(choice: Any, usage: Any, redacted: Redacted) -> Completion:
    reason = choice.get("finish_reason")
    finish = FINISHES.get(reason if isinstance(reason, str) else None, "error")
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return Completion(
        text=_text(choice),
        finish=finish,
        tokens=int(usage.get("completion_tokens") or 0),
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        cached_tokens=int(cached),
        mean_logprob=_mean(_token_logprobs(choice)),
        error=None if finish != "error" else f"the server ended the request: {redacted(str(reason))[:LONGEST_MESSAGE]}",
        cause="request" if finish != "error" else "server",
    )


def _text(choice: Any) -> str:
    """A completion's text, or a chat message's; what a server returns separately as reasoning is part of neither."""
    message = choice.get("message")
    if message is not None and message.get("tool_calls"):
        raise NoText("a tool call in place of a text")
    text = choice["text"] if message is None else message["content"]
    if not text and message is not None and (message.get("reasoning_content") or message.get("reasoning")):
        raise NoText("reasoning and no text: raise policy.max_tokens, or turn the server's reasoning parser off")
    if not text and message is not None and message.get("refusal"):
        raise NoText("a refusal in place of a text")
    if not isinstance(text, str):
        raise TypeError("its text is not a string")
    return text


def _with_tokens(completion: Completion, choice: Any, tokenizer: ModelTokenizer, stop: Sequence[str]) -> Completion:
    """Accept the tokens if they decode to the text that the server reports.

    The last one may be the end-of-text token, which is left out of the text; some servers omit it from the tokens.

    Raises:
        TypeError: there are none.
        ValueError: they are tokens of a different text or model.
    """
    ids = choice.get("token_ids", _ids_of_logprobs(choice))
    if ids is None and completion.text == "":
        return completion
    if not isinstance(ids, list):
        raise TypeError("no token_ids; remove the engine's tokenizer setting for this server")
    if not all(type(token) is int and tokenizer.has(token) for token in ids):
        raise ValueError("token_ids that the tokenizer does not have: the server serves another model")
    ended = completion.finish == "stop"
    readings = [tokenizer.read(kept, stop if ended else ()) for kept in ((ids[:-1], ids) if ended else (ids,))]
    written = next((w for w in readings if _same(w.text, completion.text)), None)
    if written is None:
        raise ValueError(f"token_ids of another text: {readings[-1].text[:40]!r} for {completion.text[:40]!r}")
    update = {
        "text": written.text,
        "token_ids": written.token_ids,
        "token_ends": written.token_ends,
        "tokens": len(ids),
        "logprobs": _kept_logprobs(_token_logprobs(choice), ids, written.token_ids),
    }
    return completion.model_copy(update=update)


def _ids_of_logprobs(choice: Any) -> list[Any] | None:
    told = (choice.get("logprobs") or {}).get("content")
    return [token["id"] for token in told] if told and all("id" in token for token in told) else None


def _same(decoded: str, said: str) -> bool:
    """Whether two texts are equal, except for a character cut off at the end and a blank that decoders drop at the
    start."""
    decoded, said = decoded.rstrip(UNFINISHED), said.rstrip(UNFINISHED)
    return decoded == said or f" {decoded}" == said


def _token_logprobs(choice: Any) -> list[Any]:
    """Return the log-probability of each token, as completions or chats report it; empty if they do not."""
    given = choice.get("logprobs") or {}
    if given.get("content"):
        return [token["logprob"] for token in given["content"]]
    values = given.get("token_logprobs") or []
    return values if isinstance(values, list) else []


def _kept_logprobs(values: list[Any], ids: list[int], kept: tuple[int, ...]) -> tuple[float, ...]:
    """Log-probabilities of the kept tokens, if the server reports them per token; else nothing."""
    if len(values) < len(kept) or tuple(ids[: len(kept)]) != kept:
        return ()
    known = [float(v) for v in values[: len(kept)] if v is not None]
    return tuple(known) if len(known) == len(kept) and all(map(_is_logprob, known)) else ()


def _mean(values: list[Any]) -> float | None:
    known = [float(v) for v in values if v is not None]
    return sum(known) / len(known) if known and all(map(_is_logprob, known)) else None


def _is_logprob(value: float) -> bool:
    """Whether a number can be a log-probability; rounding may put it just above 0."""
    return math.isfinite(value) and LEAST_LOGPROB < value < ROUNDING


def server_message(body: bytes, redacted: Redacted) -> str:
    """Return the server's own message, if any; redacted before it is shortened."""
    try:
        answer = parsed(body)
        error = answer.get("error", answer)
        text = error.get("message", "") if isinstance(error, dict) else str(error)
    except (ValueError, AttributeError, RecursionError):
        text = body[:LONGEST_PAGE].decode("utf-8", "replace")
    return " ".join(redacted(str(text)).split())[:LONGEST_MESSAGE].encode("utf-8", "replace").decode()
