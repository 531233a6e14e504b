"""An OpenAI-compatible server. Only requests lost by the infrastructure are sent again, with the same seed.

Retrying on what the model wrote would bias every estimate made from the answers.
"""

import asyncio
from collections.abc import Sequence

import httpx

from stepforge.pipelines.engines.model_files import locate
from stepforge.pipelines.engines.server_answers import answering_model, prompt_logprobs, read_completion
from stepforge.pipelines.engines.server_connection import (
    CONNECT_SECONDS,
    NotAnswered,
    NotSent,
    Reply,
    ServerConnection,
    TooSlow,
)
from stepforge.pipelines.engines.server_requests import (
    MODELS_BYTES,
    WAYS,
    Served,
    Way,
    answer_bytes,
    chat_request,
    completion_request,
    served,
)
from stepforge.pipelines.engines.settings import ServerEngineSettings
from stepforge.pipelines.engines.text_engine import TextEngine
from stepforge.pipelines.engines.tokenization import ModelTokenizer, load_tokenizer
from stepforge.schemas.errors import BadInput
from stepforge.schemas.protocols import Completion, EngineIdentity, Message, Prompt, Sampling

LONGEST_BACKOFF = 30.0
LLAMACPP = "llamacpp"
"""The owner name of llama.cpp's server. It treats 0 log-probabilities as none, and returns token ids only with them."""
NO_PROMPT_LOGPROBS = (
    "this server does not say how likely a given text is; vLLM's does, "
    "with api = 'completions' and engine.tokenizer set"
)
GONE = frozenset({429, 502, 503, 504})
"""Statuses about the server, not the request."""


class ServerEngine(TextEngine):
    """Implements ``schemas.protocols.Engine``; without a ``tokenizer`` setting it sends and gets text only."""

    def __init__(
        self,
        settings: ServerEngineSettings,
        connection: ServerConnection,
        model: Served,
        tokenizer: ModelTokenizer | None = None,
    ) -> None:
        identity = EngineIdentity(model=model.name, digest=settings.revision or "", engine="server", version="")
        super().__init__(identity, tokenizer)
        self._settings = settings
        self._connection = connection
        self._served = model
        self._way: Way = WAYS.get(model.owner, "never") if settings.goes_on == "auto" else settings.goes_on
        self.cannot: str | None = None
        """What this server cannot do, in one line; None if it can continue from the beginning of a solution."""
        self._turns = asyncio.Semaphore(settings.connections)
        self._echoes = False
        """Whether the beginning that it continues from is part of its answer (llama.cpp's server, by its version)."""
        self._answering: str | None = None
        """The model that its answers name. A gateway may go over to another one without being away."""
        self._doubts = self._settled = 0
        """How often it was away and may have come back with another model, and up to which time that was checked."""

    @classmethod
    async def open(
        cls, settings: ServerEngineSettings, transport: httpx.AsyncBaseTransport | None = None
    ) -> "ServerEngine":
        """Ask the server what it serves. ``transport`` replaces the network in tests."""
        connection = ServerConnection(settings, transport)
        try:
            model = await served(connection, settings)
            tokenizer = None
            if settings.tokenizer is not None:
                source = locate(settings.tokenizer, "engine.tokenizer", needs=("tokenizer.json", "tokenizer.model"))
                tokenizer = await asyncio.to_thread(load_tokenizer, source, settings.revision)
        except BaseException:
            await connection.close()
            raise
        engine = cls(settings, connection, model, tokenizer)
        if settings.api == "chat" and (fault := await engine._fault_in_going_on()) is not None:
            engine._way = "never"
            engine.cannot = f"{settings.address} {fault}; it can sample whole solutions and judge"
        return engine

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        """Return one continuation; see ``Engine.complete``. A server that stays down gives an error."""
        self.check_open()
        try:
            request = self._request(prompt, sampling)
        except ValueError as error:
            return Completion.failed(str(error))
        completion = await self._ask({**request, "seed": seed}, prompt, sampling)
        if self._echoes and prompt.turns and prompt.turns[-1].role == "assistant":
            completion = _without_beginning(completion, prompt.turns[-1].content)
        return _stopped(completion, sampling.stop)

    def chat(self, messages: Sequence[Message]) -> str:
        """Render messages with the model's chat template; if the server does that itself, just concatenate them."""
        if self._settings.api == "chat":
            return "\n\n".join(message.content for message in messages)
        if self.tokenizer is None:
            raise ValueError(
                'a chat prompt needs the model\'s template: give the engine a tokenizer setting, or api = "chat"'
            )
        return self.tokenizer.chat(messages)

    async def close(self) -> None:
        await super().close()
        await self._connection.close()

    async def _fault_in_going_on(self) -> str | None:
        """Check whether beginnings are accepted, and exactly: a template that trims would drop a line's end.

        If the beginning comes back before the one requested token, it always does.
        """
        if self._way == "never":
            owner = f"owned by {self._served.owner!r}" if self._served.owner else "of no known kind"
            return (
                f"({owner}) is not known to continue from the beginning of a solution (if it does, set engine.goes_on)"
            )
        counts, echoed = [], []
        for begun in ("So it is 2", "So it is 2\n"):
            turns = (Message(role="user", content="1 + 1 = ?"), Message(role="assistant", content=begun))
            sampling = Sampling(max_tokens=1, temperature=0)
            answer = await self.complete(Prompt(text="", turns=turns), seed=0, sampling=sampling)
            if answer.finish == "error":
                return f"does not continue from the beginning of a solution ({answer.error})"
            counts.append(answer.prompt_tokens)
            echoed.append(answer.text.startswith(begun))
        self._echoes = all(echoed)
        if 0 < counts[1] <= counts[0]:
            return "continues from the beginning of a solution without its trailing blanks, which is not exact"
        return None

    def _request(self, prompt: Prompt, sampling: Sampling) -> dict[str, object]:
        if self._settings.api == "chat":
            request = chat_request(prompt, sampling, model=self._served.name, way=self._way)
            return {**request, "logprobs": True} if self._settings.logprobs else request
        request = completion_request(
            prompt, sampling, model=self._served.name, tokenizer=self.tokenizer, longest=self._served.longest
        )
        if self._served.owner == LLAMACPP and (self._settings.logprobs or self.tokenizer is not None):
            return {**request, "logprobs": 1}
        return {**request, "logprobs": 0} if self._settings.logprobs else request

    async def _ask(self, request: dict[str, object], prompt: Prompt, sampling: Sampling) -> Completion:
        message, away = "", False
        for attempt in range(self._settings.retries + 1):
            wait = min(self._settings.backoff * 2**attempt, LONGEST_BACKOFF)
            try:
                reply = await self._send(request, prompt, sampling)
                if self._settled < self._doubts and reply.status < 500:
                    await self._check_model()
            except TooSlow as error:  # a retry would take as long again
                return Completion.failed(str(error), "server" if await self._is_there() else "away")
            except NotSent as error:
                return Completion.failed(str(error))
            except NotAnswered as error:
                message, away = str(error), True
                self._doubts += 1
            else:
                if reply.status != 429 and reply.status < 500:
                    return self._read(reply, request, sampling)
                message, away = f"the server answered {reply.status}", reply.status in GONE
                self._doubts += away and reply.status != 429
                wait = max(wait, reply.wait)
            if attempt < self._settings.retries:
                await asyncio.sleep(wait)
        away = away or not await self._is_there()
        sent = f"{message}; sent {self._settings.retries + 1} times"
        return Completion.failed(sent, "away" if away else "server")

    async def _send(self, request: dict[str, object], prompt: Prompt, sampling: Sampling) -> Reply:
        path = "chat/completions" if self._settings.api == "chat" else "completions"
        session = {"X-Session-ID": prompt.session} if prompt.session else {}
        async with self._turns:
            seconds, most = self._settings.request_timeout, answer_bytes(prompt, sampling)
            return await self._connection.post(path, request, seconds=seconds, most=most, headers=session)

    async def _check_model(self) -> None:
        doubts = self._doubts  # those that arise meanwhile stay
        try:
            now = await served(self._connection, self._settings)
        except BadInput as error:
            raise NotAnswered(str(error)) from None
        if now.name != self._served.name:
            raise NotAnswered(f"it serves {now.name} now; {self._served.name} is needed")
        self._settled = max(self._settled, doubts)

    async def _is_there(self) -> bool:
        try:
            reply = await self._connection.get("models", seconds=CONNECT_SECONDS, most=MODELS_BYTES)
            there = reply.status not in GONE
        except (NotAnswered, NotSent):
            there = False
        self._doubts += not there
        return there

    def _read(self, reply: Reply, request: dict[str, object], sampling: Sampling) -> Completion:
        completion = read_completion(reply, self.tokenizer, sampling.stop, self._connection.redacted)
        if completion.finish == "error":
            return completion
        named, sent = answering_model(reply.body), request.get("prompt")
        self._answering = self._answering or named
        if named is not None and named != self._answering:
            words = self._connection.redacted(f"{named} answered; {self._answering} did before")
            return Completion.failed(words, "away")
        read = completion.prompt_tokens + completion.cached_tokens
        if isinstance(sent, list) and 0 < read < len(sent):
            return Completion.failed(f"the server read {read} of the prompt's {len(sent)} tokens: its context is short")
        if self._connection.holds_key(completion.text):
            return Completion.failed("the server sent the API key back in place of an answer", "server")
        if sampling.scored:
            ids = list(map(int, sent)) if isinstance(sent, list) else []
            chances = prompt_logprobs(reply.body, ids, sampling.scored)
            return self.scored(ids, chances) if chances else Completion.failed(NO_PROMPT_LOGPROBS)
        full = completion.tokens == sampling.max_tokens > 1
        ended = 0 < len(completion.token_ids) < completion.tokens  # the last one ended the text
        if completion.finish == "stop" and full and not ended:  # some servers call a cut a stop
            return completion.model_copy(update={"finish": "length"})
        return completion


def _stopped(completion: Completion, stop: Sequence[str]) -> Completion:
    """Cut a text where it had to stop, for a server that goes on to the next question."""
    places = [place for end in stop if end and (place := completion.text.find(end)) >= 0]
    if not places or completion.token_ids:
        return completion
    finish = "error" if completion.finish == "error" else "stop"
    return completion.model_copy(update={"text": completion.text[: min(places)], "finish": finish})


def _without_beginning(completion: Completion, begun: str) -> Completion:
    if completion.finish == "error":
        return completion
    if not completion.text.startswith(begun):
        return Completion.failed("the server omitted or changed the beginning that it usually repeats", "server")
    return completion.model_copy(update={"text": completion.text[len(begun) :]})
