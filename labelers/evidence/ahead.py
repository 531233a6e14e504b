"""Asking ahead: the next questions are in flight before it is known whether they are needed.

Answers are taken in the order of the questions; requests still in flight at the end are cancelled and leave no trace.
So the result does not depend on what was asked ahead, or on which answer came first.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Ahead(Generic[Question, Answer]):
    """Asks questions in order, at most ``most`` in flight; as a context manager, cancels the rest on exit."""

    def __init__(
        self, ask: Callable[[Question], Coroutine[Any, Any, Answer]], questions: Iterable[Question], most: int
    ) -> None:
        """Ask nothing yet."""
        self._ask = ask
        self._questions = iter(questions)
        self._most = most
        self._under_way: deque[asyncio.Task[Answer]] = deque()

    async def next(self) -> Answer:
        """Return the answer to the next question.

        Raises:
            StopAsyncIteration: there is none left.
        """
        for question in self._questions:
            if self._most == 1:
                return await self._ask(question)  # a task would only add overhead
            self._under_way.append(asyncio.create_task(self._ask(question)))
            if len(self._under_way) == self._most:
                break
        if not self._under_way:
            raise StopAsyncIteration
        answer = await self._under_way[0]
        self._under_way.popleft()
        return answer

    async def __aenter__(self) -> "Ahead[Question, Answer]":
        """Return itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel unneeded requests and wait for them to end; their errors do not matter."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
