"""A plain async function as an engine: text and a seed in, the continuation out."""

from collections.abc import Awaitable, Callable, Sequence

from stepforge.pipelines.engines.text_engine import TextEngine
from stepforge.schemas.protocols import Completion, EngineIdentity, Message, Prompt, Sampling

Complete = Callable[[str, int], Awaitable[str | Completion]]
"""``async def complete(text, seed)`` returns what a model writes after ``text``: a text that the model ended by itself,
or a ``Completion`` if more is known. A different seed gives a different sample."""


class FunctionEngine(TextEngine):
    """Implements ``schemas.protocols.Engine`` with a user's own function. It has no tokenizer: prefixes are text."""

    def __init__(self, complete: Complete, name: str = "function") -> None:
        super().__init__(EngineIdentity(model=name, digest="", engine="function", version=""))
        self._complete = complete

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        """Call the function. An exception is an engine error, so the completion is ``undetermined``.

        Tokens are counted as words if the function returns a text.
        """
        try:
            written = await self._complete(prompt.text, seed)
        except Exception as error:
            return Completion.failed(f"{type(error).__name__}: {error}")
        if isinstance(written, Completion):
            return written
        return Completion(text=written, finish="stop", tokens=len(written.split()))

    def chat(self, messages: Sequence[Message]) -> str:
        raise ValueError("a function has no chat template; render the chat inside it")
