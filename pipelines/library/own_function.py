"""A plain async function as an engine: text and a seed in, the continuation out."""

import inspect
import warnings
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from stepforge.pipelines.engines.text_engine import TextEngine
from stepforge.schemas.errors import BadInput, RunFailed
from stepforge.schemas.protocols import Completion, EngineIdentity, Message, Prompt, Sampling

Complete = Callable[[str, int], Awaitable[str | Completion]]
"""``async def complete(text, seed)`` returns what a model writes after ``text``: a text that the model ended by itself,
or a ``Completion`` if more is known. A different seed gives a different sample."""


class FunctionEngine(TextEngine):
    """Implements ``schemas.protocols.Engine`` with a user's own function. It has no tokenizer: prefixes are text."""

    def __init__(self, complete: Complete, name: str = "function") -> None:
        """Raises BadInput: it cannot be called with a text and a seed."""
        super().__init__(EngineIdentity(model=name, digest="", engine="function", version=""))
        if not callable(complete):
            raise BadInput(f"engine: {complete!r} is neither an engine nor a function: async def complete(text, seed)")
        try:
            with suppress(ValueError):  # a callable written in C may not tell its arguments
                inspect.signature(complete).bind("", 0)
        except TypeError as error:
            raise BadInput(f"engine: the function is called as complete(text, seed): {error}") from None
        self._complete = complete
        self._calls = 0
        self._failures: list[str] = []

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        """Call the function. An exception is an engine error, so the completion is ``undetermined``.

        Tokens are counted as words if the function returns a text.

        Raises BadInput: it is not an async function.
        """
        self._calls += 1
        try:
            writing: Any = self._complete(prompt.text, seed)
            if not inspect.isawaitable(writing):
                raise BadInput(
                    "engine: the function is not async; write `async def complete(text, seed)`, and call a blocking "
                    "model inside it by `await asyncio.to_thread(...)`"
                )
            written: object = await writing
        except BadInput:
            raise
        except Exception as error:
            return self._failed(f"{type(error).__name__}: {error}")
        if isinstance(written, Completion):
            return written
        if not isinstance(written, str):
            return self._failed(f"it returned a {type(written).__name__}, not a text")
        return Completion(text=written, finish="stop", tokens=len(written.split()))

    def _failed(self, reason: str) -> Completion:
        self._failures.append(reason)
        return Completion.failed(reason)

    def check_failures(self) -> None:
        """Warn of failed calls. Raises RunFailed: every call failed, so there is no evidence."""
        if not self._failures:
            return
        said = f"{len(self._failures)} of {self._calls} calls of the function failed, the first: {self._failures[0]}"
        if len(self._failures) == self._calls:
            raise RunFailed(said)
        warnings.warn(f"{said}. Their completions are undetermined", stacklevel=2)

    def chat(self, messages: Sequence[Message]) -> str:
        raise BadInput("engine: a function has no chat, which a judge and policy.chat need; give engine settings")
