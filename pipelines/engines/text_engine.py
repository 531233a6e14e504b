"""The non-generating half of an engine: its name, and tokenization by its model's tokenizer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stepforge.schemas.protocols import EngineIdentity, Message
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

    async def close(self) -> None:
        """Nothing to release."""
