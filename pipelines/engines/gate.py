"""Between the searches and an engine: a cap, a clock, a check, and the progress counters.

Thousands of searches send requests at once; at most ``capacity`` are in flight in the engine, fewer if the engine
reports that its cache cannot hold that many. So its own queue stays short, and a request's time limit covers computing,
not waiting. The others wait here, first come, first served.
"""

import asyncio
import re
import time
from collections import Counter
from typing import NamedTuple

from stepforge.pipelines.engines.load import Turns
from stepforge.pipelines.engines.outage import Outage
from stepforge.pipelines.engines.settings import (
    AnyEngine,
    ScriptedEngineSettings,
    ServerEngineSettings,
    TransformersEngineSettings,
    VllmEngineSettings,
)
from stepforge.schemas.protocols import Completion, Engine, EngineDead, Prompt, Sampling

QUEUED = 2
"""Requests given to an in-process engine per request that it can compute at a time: enough that it never runs dry."""
UNBOUNDED = 100_000
"""For engines that compute nothing."""
STUCK_SECONDS = 60.0
"""How much longer than its own limit a request may take before the engine counts as hung."""
STUCK_REQUESTS = 8
"""Consecutive abandoned requests, with no other answer in between, at which the engine itself counts as hung."""
MOST_TOKENS = 2**31
"""Larger than any context."""
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
COUNTED = ("rollouts", "generated_tokens", "prompt_tokens", "cached_tokens", "errors", "cancelled")


class Answer(NamedTuple):
    completion: Completion
    engine_seconds: float
    """Its share of the engine's time: each busy second is divided among the requests then in flight, so all shares add
    up to the engine's busy time."""


def capacity_of(settings: AnyEngine, engine: Engine) -> int:
    if isinstance(settings, TransformersEngineSettings):
        return QUEUED * settings.batch_size
    if (together := getattr(engine, "max_num_seqs", None)) is not None:
        return QUEUED * int(together)
    return settings.connections if isinstance(settings, ServerEngineSettings) else UNBOUNDED


def limit_of(settings: AnyEngine) -> float | None:
    """Return after how many seconds a request is abandoned; None if the engine does this itself, or nobody does."""
    if isinstance(settings, TransformersEngineSettings) and settings.request_timeout is not None:
        return settings.request_timeout + STUCK_SECONDS  # it checks the clock between tokens, but may hang inside one
    return settings.request_timeout if isinstance(settings, ScriptedEngineSettings | VllmEngineSettings) else None


def outage_of(settings: AnyEngine) -> Outage:
    """State shared by all requests to an engine that may be down; one in this process never is."""
    if isinstance(settings, ServerEngineSettings):
        return Outage(f"the server at {settings.address}", settings.patience, settings.backoff)
    return Outage("the engine", 0.0)


class EngineGate:
    def __init__(self, engine: Engine, capacity: int, limit: float | None = None, outage: Outage | None = None) -> None:
        """``limit`` is a request's time limit in seconds, longer while the engine answers those given before it;
        ``outage`` says how long to wait for a server."""
        self.engine = engine
        self._limit = limit
        self.outage = outage or Outage("the engine", 0.0)
        self._turns = Turns(engine, capacity)
        self._clock = BusyClock()
        self._answers = self._unanswered = 0
        self._answered: tuple[Prompt, int, Sampling] | None = None
        self._waiting = 0
        self._counts = Counter(dict.fromkeys(COUNTED, 0))

    async def ask(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Answer:
        self._waiting += 1
        try:
            await self._turns.take()
        finally:
            self._waiting -= 1
        began = self._clock.start()
        try:
            given = await self._given(prompt, seed, sampling)
        except asyncio.CancelledError:
            self._counts["cancelled"] += 1
            raise
        finally:
            seconds = self._clock.stop() - began
            self._turns.give_back()
        completion = sound(given)
        if completion.finish != "error":
            self._answered = prompt, seed, sampling
        if completion.cause != "away":  # it is asked again
            self._counts.update(
                rollouts=1,
                generated_tokens=completion.tokens,
                prompt_tokens=completion.prompt_tokens,
                cached_tokens=completion.cached_tokens,
                errors=completion.finish == "error",
            )
        return Answer(completion, seconds)

    async def answers(self) -> bool:
        """Whether the engine still answers a request that it has answered; if it fails, no request is at fault.

        The request is sent whole: cut to one token, a model that reasons first has no text yet, which is an error.
        """
        if self._answered is None:
            return True
        prompt, seed, sampling = self._answered
        return sound(await self.engine.complete(prompt, seed=seed, sampling=sampling)).finish != "error"

    async def _given(self, prompt: Prompt, seed: int, sampling: Sampling) -> Completion:
        if self._limit is None:
            return await self.engine.complete(prompt, seed=seed, sampling=sampling)
        before = latest = self._answers
        ahead = self._clock.running - 1
        asked = asyncio.ensure_future(self.engine.complete(prompt, seed=seed, sampling=sampling))
        try:
            while not (await asyncio.wait([asked], timeout=self._limit))[0]:
                if self._answers == latest or latest - before >= ahead:
                    return self._hung(before)
                latest = self._answers  # it may have stood behind others in the engine's own queue
        finally:
            asked.cancel()
        given = asked.result()
        self._answers, self._unanswered = self._answers + 1, 0
        return given

    def _hung(self, before: int) -> Completion:
        """Abandon one request; if repeatedly no other was answered in that time either, blame the engine."""
        self._unanswered = self._unanswered + 1 if self._answers == before else 0
        if self._unanswered >= STUCK_REQUESTS:
            raise EngineDead(f"the engine hangs: {self._unanswered} requests in a row without an answer")
        return Completion.failed(f"no answer within {self._limit:g} s; aborted", "server")

    def counters(self) -> dict[str, int]:
        return {
            **self._counts,
            "running": self._clock.running,
            "waiting": self._waiting,
            "capacity": self._turns.size,
            "away_seconds": int(self.outage.seconds),
            "busy_ms": int(self._clock.busy() * 1000),
        }


class BusyClock:
    """Measures busy time, and each request's share of it, in constant time per request."""

    def __init__(self) -> None:
        self.running = 0
        self._busy = 0.0
        self._share = 0.0
        """The share of a request in flight since the beginning, in seconds."""
        self._since = 0.0

    def start(self) -> float:
        """Count one more request; return the current share."""
        self._advance()
        self.running += 1
        return self._share

    def stop(self) -> float:
        """Count one request fewer; return the current share."""
        self._advance()
        self.running -= 1
        return self._share

    def busy(self) -> float:
        self._advance()
        return self._busy

    def _advance(self) -> None:
        now = time.monotonic()
        if self.running:
            self._busy += now - self._since
            self._share += (now - self._since) / self.running
        self._since = now


def sound(completion: Completion) -> Completion:
    """Return the completion, or an error if it is impossible.

    A finished text without tokens, tokens that do not match the text, invalid Unicode and impossible counts are engine
    faults. They say nothing about earlier steps, and must not reach the journal, or every retry would find them again.
    """
    fault = _fault(completion)
    return completion if fault is None else Completion.failed(f"the engine {fault}", "server")


def _fault(completion: Completion) -> str | None:
    counts = (completion.tokens, completion.prompt_tokens, completion.cached_tokens)
    if not all(0 <= count <= MOST_TOKENS for count in counts):
        return f"counts its tokens as {', '.join(str(count)[:12] for count in counts)}"
    if completion.finish == "error":
        return None
    if completion.tokens < 1:
        return "returned a completion without a token"
    if LONE_SURROGATE.search(completion.text):
        return "returned a text that is not valid Unicode (a lone surrogate)"
    ids, ends = completion.token_ids, completion.token_ends
    in_order = len(ids) == len(ends) and list(ends) == sorted(ends)
    if not in_order or (ids and (ends[-1] != len(completion.text) or min(ids) < 0 or max(ids) > MOST_TOKENS)):
        return "returned tokens that do not match their text"
    if len(completion.logprobs) not in (0, len(ids)):
        return "returned log-probabilities that do not match their tokens"
    return None
