"""Engines without `complete`: one that tokenizes with its model's tokenizer, and one that wraps another engine."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stepforge.schemas.protocols import Completion, Engine, EngineDead, EngineIdentity, Message
from stepforge.schemas.rollout import Finish

if TYPE_CHECKING:
    from stepforge.pipelines.engines.tokenization import ModelTokenizer

FINISHES: dict[str | None, Finish] = {"stop": "stop", "length": "length"}
"""vLLM's and servers' reasons; any other (abort, repetition, error) is an error."""


class TextEngine:
    """Implements ``schemas.protocols.Engine`` except ``complete``. Without a tokenizer it handles only text."""

    def __init__(self, identity: EngineIdentity, tokenizer: "ModelTokenizer | None" = None) -> None:
        self.identity = identity
        self.tokenizer = tokenizer
        self.special_tokens = frozenset[str]() if tokenizer is None else tokenizer.special_tokens
        self.closed = False

    def encode(self, text: str) -> tuple[int, ...]:
        return () if self.tokenizer is None else self.tokenizer.encode(text)

    def encode_prompt(self, text: str, *, bos: bool) -> tuple[int, ...]:
        return () if self.tokenizer is None else self.tokenizer.encode_prompt(text, bos=bos)

    def token_ends(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        return () if self.tokenizer is None else self.tokenizer.token_ends(token_ids)

    def chat(self, messages: Sequence[Message]) -> str:
        if self.tokenizer is None:
            raise ValueError(f"the {self.identity.engine} engine has no chat template; set chat = false under [policy]")
        return self.tokenizer.chat(messages)

    def scored(self, token_ids: Sequence[int], logprobs: Sequence[float]) -> Completion:
        """Return the prompt's last tokens as an answer: as many as there are log-probabilities.

        It counts as one token, which vLLM cannot but generate.
        """
        if self.tokenizer is None or not logprobs or not all(map(math.isfinite, logprobs)):
            return Completion.failed("the engine does not say how likely each token is")
        read = self.tokenizer.read(token_ids[-len(logprobs) :])
        return Completion(
            text=read.text,
            token_ids=read.token_ids,
            token_ends=read.token_ends,
            finish="stop",
            tokens=1,
            prompt_tokens=len(token_ids),
            logprobs=tuple(logprobs),
        )

    def check_open(self) -> None:
        if self.closed:
            raise EngineDead("the engine is closed")

    async def close(self) -> None:
        self.closed = True


class WrappedEngine:
    """Implements ``schemas.protocols.Engine`` except ``complete`` and ``close``."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.identity, self.special_tokens = engine.identity, engine.special_tokens
        self.encode, self.encode_prompt, self.token_ends = engine.encode, engine.encode_prompt, engine.token_ends
        self.chat = engine.chat
