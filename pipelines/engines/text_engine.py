"""Engines without `complete`: one that tokenizes with its model's tokenizer, and one that wraps another engine."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stepforge.schemas.protocols import Engine, EngineDead, EngineIdentity, Message
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
