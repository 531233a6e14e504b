"""An engine that wraps another and delegates what it does not override."""

from stepforge.schemas.protocols import Engine


class WrappedEngine:
    """Implements ``schemas.protocols.Engine`` except ``complete`` and ``close``."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.identity, self.special_tokens = engine.identity, engine.special_tokens
        self.encode, self.encode_prompt, self.token_ends = engine.encode, engine.encode_prompt, engine.token_ends
        self.chat = engine.chat
