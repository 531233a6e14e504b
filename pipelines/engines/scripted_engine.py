"""An engine without a model, for dry runs and tests: its answers are a pure function of prompt, seed and position."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any
from zlib import crc32

from stepforge.pipelines.engines.scripted_writer import Position, read_position, write
from stepforge.pipelines.engines.settings import ScriptedEngineSettings
from stepforge.pipelines.engines.text_engine import TextEngine
from stepforge.pipelines.engines.tokenization import first_stop
from stepforge.schemas.protocols import Completion, EngineDead, EngineIdentity, Prompt, Sampling
from stepforge.schemas.rollout import Finish

VERSION = "1"
"""Must be raised when the same prompt and seed give another text."""


class _Likeliest(Random):
    """Replaces randomness at temperature 0: likely events happen, and a choice is always the first."""

    def random(self) -> float:
        return 0.5

    def choice(self, seq: Any) -> Any:
        return seq[0]


class ScriptedEngine(TextEngine):
    """Implements ``schemas.protocols.Engine``; a character is a token, its code point the id."""

    def __init__(self, settings: ScriptedEngineSettings) -> None:
        model = f"scripted, no model (errs {settings.error_rate:g}, recovers {settings.recovery_rate:g})"
        super().__init__(EngineIdentity(model=model, digest="", engine="scripted", version=VERSION))
        self._settings = settings
        self._closed = False

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        if self._settings.latency_ms:
            await asyncio.sleep(self._settings.latency_ms / 1000)
        if self._closed:
            raise EngineDead("the engine is closed")
        try:
            text = "".join(map(chr, prompt.token_ids)) if prompt.token_ids else prompt.text
        except (ValueError, OverflowError):
            return Completion.failed("the prompt has tokens that are not characters")
        if not 0 < len(text) < self._settings.max_model_len:
            return Completion.failed(f"a prompt of {len(text)} tokens; 1 to {self._settings.max_model_len - 1} fit")
        position = read_position(text)
        salt = crc32(text.encode("utf-8", "surrogatepass"))
        return self._write(position, len(text), seed ^ salt, sampling)

    def encode(self, text: str) -> tuple[int, ...]:
        try:
            return tuple(text.encode("latin-1"))  # several times as fast, and right for the families' texts
        except UnicodeEncodeError:
            return tuple(map(ord, text))

    def encode_prompt(self, text: str, *, bos: bool) -> tuple[int, ...]:
        return self.encode(text)

    def token_ends(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        return tuple(range(1, len(token_ids) + 1))

    async def close(self) -> None:
        self._closed = True

    def _write(self, position: Position, prompt_tokens: int, seed: int, sampling: Sampling) -> Completion:
        settings = self._settings
        rng = Random(seed) if sampling.temperature > 0 else _Likeliest()
        draw = rng.random
        if settings.failure_rate and draw() < settings.failure_rate:
            return Completion.failed("a failure, as set by failure_rate")
        breaks_off = settings.truncation_rate > 0 and draw() < settings.truncation_rate
        text = write(position, rng, settings.error_rate, settings.recovery_rate)
        room = min(sampling.max_tokens, settings.max_model_len - prompt_tokens)
        if breaks_off:
            room = min(room, int(draw() * len(text)))
        finish: Finish = "stop"
        tokens = len(text) + 1
        cut = first_stop(text, sampling.stop) if sampling.stop else None
        if tokens > room and (cut is None or cut >= room):
            text, finish, tokens = text[:room], "length", room
        elif cut is not None:
            text, tokens = text[:cut], cut + 1
        ids = self.encode(text)
        return Completion.model_construct(  # all fields are right by construction, and checking costs half the time
            text=text,
            token_ids=ids,
            token_ends=tuple(range(1, len(ids) + 1)),
            finish=finish,
            tokens=tokens,
            prompt_tokens=prompt_tokens,
            cached_tokens=0,
            mean_logprob=None,
            error=None,
        )
