"""A server that answers with whatever it is told to, in place of the network."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
from engine_setup import Loop, ask

from stepforge.pipelines.engines import ServerEngineSettings
from stepforge.pipelines.engines.server_engine import ServerEngine
from stepforge.schemas.protocols import Completion

MODELS = {"data": [{"id": "tiny", "max_model_len": 512, "owned_by": "vllm"}]}
CHOICE = {"text": "t2 = 7", "finish_reason": "stop"}
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}}
FINE = {"choices": [CHOICE], "usage": USAGE}


class Stream(httpx.AsyncByteStream):
    """Bytes as they are made, so that only what is read takes memory."""

    def __init__(self, chunks: Callable[[], AsyncIterator[bytes]]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks():
            yield chunk


class Hostile(httpx.AsyncBaseTransport):
    """Gives the prepared answers in turn, the last one for ever, and keeps what it was asked.

    An answer is a status, seconds to wait before a fine one, an error to raise, a body, a response, or what returns
    one for a request.
    """

    def __init__(self, *answers: Any, models: Any = MODELS) -> None:
        self.answers = list(answers) or [FINE]
        self.models = models
        self.asked: list[dict[str, Any]] = []
        self.headers: list[httpx.Headers] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.headers.append(request.headers)
        if request.url.path.endswith("/models"):
            return _response(self.models, request)
        self.asked.append(json.loads(request.content))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            answer = FINE
        return _response(answer, request)


def _response(answer: Any, request: httpx.Request) -> httpx.Response:
    answer = answer(request) if callable(answer) else answer
    if isinstance(answer, Exception):
        raise answer
    if isinstance(answer, int):
        return httpx.Response(answer, json={"error": {"message": "the server's\nown words"}})
    if isinstance(answer, httpx.Response):
        return answer
    return httpx.Response(200, content=answer) if isinstance(answer, bytes) else httpx.Response(200, json=answer)


def opened(run: Loop, server: Hostile, **settings: Any) -> ServerEngine:
    settings = {"backoff": 0.001, "retries": 2, "address": "https://server.test/v1", "request_timeout": 5, **settings}
    return run(ServerEngine.open(ServerEngineSettings(**settings), transport=server))


def asked(run: Loop, server: Hostile, **settings: Any) -> Completion:
    (completion,) = run(ask(opened(run, server, **settings), "Q\n", max_tokens=16))
    return completion
