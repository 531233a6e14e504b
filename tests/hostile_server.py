"""A server that answers with whatever it is told to, in place of the network."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
from engine_setup import Loop, ask

from stepforge.pipelines.engines import ServerEngineSettings
from stepforge.pipelines.engines.server_engine import ServerEngine
from stepforge.schemas.protocols import Completion

MODELS = {"data": [{"id": "tiny", "max_model_len": 512, "owned_by": "vllm"}]}
USAGE = {"prompt_tokens": 9, "completion_tokens": 4}


class Stream(httpx.AsyncByteStream):
    """Bytes as they are made, so that only what is read takes memory."""

    def __init__(self, chunks: Callable[[], AsyncIterator[bytes]]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks():
            yield chunk


class Hostile(httpx.AsyncBaseTransport):
    """Answers completions with what it was made with; keeps the requests."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response], models: Any = MODELS) -> None:
        self.answer = answer
        self.models = models
        self.asked: list[dict[str, Any]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/models"):
            return self.models() if callable(self.models) else httpx.Response(200, json=self.models)
        self.asked.append(json.loads(request.content))
        return self.answer(request)


def opened(run: Loop, server: Hostile, **settings: Any) -> ServerEngine:
    settings = {"backoff": 0.001, "retries": 1, "address": "https://server.test/v1", "request_timeout": 5, **settings}
    return run(ServerEngine.open(ServerEngineSettings(**settings), transport=server))


def asked(run: Loop, server: Hostile, **settings: Any) -> Completion:
    (completion,) = run(ask(opened(run, server, **settings), "Q\n", max_tokens=16))
    return completion
