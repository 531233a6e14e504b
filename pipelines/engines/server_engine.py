"""An OpenAI-compatible completions server. Sent again, with the same seed, is only what the infrastructure lost.

Retrying on anything that the model wrote would bias every estimate made from the answers.
"""

import asyncio
import os
from collections.abc import Sequence
from typing import Any

import httpx

from stepforge.pipelines.engines.model_files import locate
from stepforge.pipelines.engines.server_answers import failed, read_completion
from stepforge.pipelines.engines.settings import ServerEngineSettings
from stepforge.pipelines.engines.tokenization import ModelTokenizer, first_line, load_tokenizer
from stepforge.schemas.errors import BadInput
from stepforge.schemas.protocols import Completion, EngineDead, EngineIdentity, Message, Prompt, Sampling
from stepforge.schemas.seeds import seed_of

LONGEST_BACKOFF = 30.0
CONNECT_SECONDS = 10.0
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class ServerEngine:
    """Implements ``schemas.protocols.Engine``; without a ``tokenizer`` setting it sends and gets text only."""

    def __init__(
        self,
        settings: ServerEngineSettings,
        client: httpx.AsyncClient,
        model: str,
        *,
        longest: int | None = None,
        tokenizer: ModelTokenizer | None = None,
    ) -> None:
        self._settings = settings
        self._client = client
        self._longest = longest
        self._tokenizer = tokenizer
        self._turns = asyncio.Semaphore(settings.connections)
        self._closed = False
        self._identity = EngineIdentity(model=model, digest=settings.revision or "", engine="server", version="")

    @classmethod
    async def open(
        cls, settings: ServerEngineSettings, transport: httpx.AsyncBaseTransport | None = None
    ) -> "ServerEngine":
        """Ask the server what it serves. ``transport`` stands in for the network in tests.

        Raises:
            BadInput: the server cannot be reached, refuses the key or does not serve the model; the variable
                for the key is not set; there is no such tokenizer.
        """
        client = _client(settings, transport)
        try:
            model, longest = await _served(client, settings)
            tokenizer = None
            if settings.tokenizer is not None:
                source = locate(settings.tokenizer)
                tokenizer = await asyncio.to_thread(load_tokenizer, source, settings.revision)
        except BaseException:
            await client.aclose()
            raise
        return cls(settings, client, model, longest=longest, tokenizer=tokenizer)

    @property
    def identity(self) -> EngineIdentity:
        """Which model this is, as the server names it."""
        return self._identity

    @property
    def special_tokens(self) -> frozenset[str]:
        """Texts that are read as control tokens; unknown without a ``tokenizer`` setting."""
        return frozenset() if self._tokenizer is None else self._tokenizer.special_tokens

    async def complete(
        self, prompt: Prompt, *, n: int, seed: int, sampling: Sampling, first: int = 0
    ) -> list[Completion]:
        """Return ``n`` continuations; see ``Engine.complete``. A server that stays away gives errors."""
        if self._closed:
            raise EngineDead("the engine is closed")
        try:
            request = self._request(prompt, sampling)
        except ValueError as error:
            return [failed(0, str(error))] * n
        return await self._ask_all([{**request, "seed": seed_of(seed, i)} for i in range(first, first + n)], sampling)

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the tokens of a text; empty without a ``tokenizer`` setting."""
        return () if self._tokenizer is None else self._tokenizer.encode(text)

    def encode_prompt(self, text: str, *, bos: bool) -> tuple[int, ...]:
        """Return the tokens of a text that a prompt begins with."""
        return () if self._tokenizer is None else self._tokenizer.encode_prompt(text, bos=bos)

    def token_ends(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        """Return, for each token, the length in characters of the decoded text up to its end."""
        return () if self._tokenizer is None else self._tokenizer.token_ends(token_ids)

    def chat(self, messages: Sequence[Message]) -> str:
        """Render messages with the model's chat template."""
        if self._tokenizer is None:
            raise ValueError("a chat prompt needs the model's template: give the engine a tokenizer setting")
        return self._tokenizer.chat(messages)

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        await self._client.aclose()

    def _request(self, prompt: Prompt, sampling: Sampling) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self._identity.model,
            "prompt": prompt.text,
            "n": 1,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
        }
        if self._tokenizer is not None:
            ids = list(prompt.token_ids or self._tokenizer.encode(prompt.text))
            request |= {"prompt": ids, "return_token_ids": True}
            if self._longest is not None and len(ids) < self._longest:
                request["max_tokens"] = min(sampling.max_tokens, self._longest - len(ids))
        if not request["prompt"]:
            raise ValueError("the prompt is empty")
        if sampling.stop:
            request["stop"] = list(sampling.stop)
        if self._settings.logprobs:
            request["logprobs"] = 0
        return request

    async def _ask_all(self, requests: list[dict[str, Any]], sampling: Sampling) -> list[Completion]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._ask(request, sampling)) for request in requests]
        return [task.result() for task in tasks]

    async def _ask(self, request: dict[str, Any], sampling: Sampling) -> Completion:
        message = ""
        for attempt in range(self._settings.retries + 1):
            wait = min(self._settings.backoff * 2**attempt, LONGEST_BACKOFF)
            try:
                async with self._turns, asyncio.timeout(self._settings.request_timeout):
                    response = await self._client.post("completions", json=request)
            except TimeoutError:
                return failed(0, f"no answer within {self._settings.request_timeout:g} s")
            except httpx.ReadTimeout:
                return failed(0, f"no answer within {self._settings.request_timeout:g} s")
            except httpx.TransportError as error:
                message = f"{type(error).__name__}: {first_line(error)}"
            except (ValueError, RuntimeError, httpx.HTTPError) as error:
                return failed(0, f"the request cannot be sent: {first_line(error)}")
            else:
                if not _lost(response.status_code):
                    return read_completion(response, self._tokenizer, sampling.stop)
                message = f"the server answered {response.status_code}"
                wait = max(wait, _asked_wait(response))
            if attempt < self._settings.retries:
                await asyncio.sleep(wait)
        return failed(0, f"{message}; sent {self._settings.retries + 1} times")


def _client(settings: ServerEngineSettings, transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    headers = {}
    if settings.api_key_variable is not None:
        key = os.environ.get(settings.api_key_variable, "").strip()
        if not key:
            raise BadInput(f"engine.api_key_variable: the variable {settings.api_key_variable} is not set")
        headers["Authorization"] = f"Bearer {key}"
    address = httpx.URL(settings.address.rstrip("/") + "/")
    connections = settings.connections
    return httpx.AsyncClient(
        base_url=address,
        headers=headers,
        transport=transport,
        timeout=httpx.Timeout(settings.request_timeout, connect=CONNECT_SECONDS, pool=None),
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        trust_env=address.host not in LOOPBACK,  # a proxy in the environment must not get loopback requests
    )


async def _served(client: httpx.AsyncClient, settings: ServerEngineSettings) -> tuple[str, int | None]:
    """Return the model's name at the server and, where it tells, the longest context in tokens."""
    address = settings.address
    try:
        response = await client.get("models", timeout=CONNECT_SECONDS)
    except httpx.HTTPError as error:
        raise BadInput(
            f"engine.address: {address} cannot be reached ({type(error).__name__}); start the server or correct it"
        ) from error
    if response.status_code in (401, 403):
        raise BadInput(f"engine.api_key_variable: {address} refuses the key ({response.status_code})")
    if response.status_code == 404 and settings.model:
        return settings.model, None
    try:
        response.raise_for_status()
        models = {str(m["id"]): m.get("max_model_len") for m in response.json()["data"]}
    except (httpx.HTTPStatusError, ValueError, LookupError, TypeError, AttributeError):
        raise BadInput(
            f"engine.address: {address} does not answer like an OpenAI server ({response.status_code} at /models)"
        ) from None
    name = settings.model or (next(iter(models)) if len(models) == 1 else None)
    if name not in models:
        wanted = f"does not serve {name}" if name else "serves several models"
        raise BadInput(f"engine.model: {address} {wanted}; it has {', '.join(sorted(models)[:10]) or 'none'}")
    longest = models[name]
    return name, longest if isinstance(longest, int) else None


def _lost(status: int) -> bool:
    return status == 429 or status >= 500


def _asked_wait(response: httpx.Response) -> float:
    asked = response.headers.get("retry-after", "")
    return min(float(asked), LONGEST_BACKOFF) if asked.isdigit() else 0.0
