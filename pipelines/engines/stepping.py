"""One thread that owns a vLLM engine: it takes in requests, steps the engine, and hands finished calls back.

Kept true: every call ends exactly once, with an output or an error for each of its requests, or as a whole with
``EngineDead``; a call that is cancelled or out of time leaves no request in the engine.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from stepforge.pipelines.engines.tokenization import first_line
from stepforge.schemas.protocols import EngineDead

IDLE_CHECK_SECONDS = 1.0


@dataclass(eq=False)
class Call:
    """The requests of one ``complete``: token ids, sampling parameters, and where the answers go."""

    future: "asyncio.Future[list[Any]]"
    token_ids: list[int]
    parameters: list[Any]
    """One per request."""
    deadline: float
    answers: list[Any] = field(default_factory=list)
    """Per request the engine's output, or an error message."""
    waiting: set[str] = field(default_factory=set)
    cancelled: bool = False


class Stepper:
    """Runs ``build()`` and then everything else on its own thread, since torch's thread count is a thread's own."""

    def __init__(self, build: Callable[[], Any], refuses: Callable[[BaseException], bool]) -> None:
        self._build = build
        self._refuses = refuses
        self._engine: Any = None
        self._inbox: deque[Call] = deque()
        self._awake = threading.Condition()
        self._closing = False
        self._death: str | None = None
        self._owners: dict[str, tuple[Call, int]] = {}
        self._calls: dict[Call, None] = {}
        self._number = 0
        self._thread = threading.Thread(target=self._run, name="vllm-stepper", daemon=True)

    async def start(self) -> Any:
        """Build the engine on the thread and return it; whatever building raises is raised here."""
        ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._ready = ready
        self._thread.start()
        return await ready

    def submit(self, call: Call) -> None:
        """Take in a call.

        Raises:
            EngineDead: the engine has died or is closed.
        """
        with self._awake:
            if self._death is not None or self._closing:
                raise EngineDead(self._death or "the engine is closed")
            self._inbox.append(call)
            self._awake.notify()

    def cancel(self, call: Call) -> None:
        """Abort what is left of a call; nothing is handed back for it any more."""
        with self._awake:
            call.cancelled = True
            self._inbox.append(call)
            self._awake.notify()

    @property
    def unfinished(self) -> int:
        """Requests in the engine."""
        return len(self._owners)

    async def close(self, seconds: float = 60.0) -> None:
        """Fail what is waiting, shut the engine down and join the thread."""
        with self._awake:
            self._closing = True
            self._awake.notify()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, seconds)

    def _run(self) -> None:
        loop = self._ready.get_loop()
        try:
            self._engine = self._build()
        except BaseException as error:
            loop.call_soon_threadsafe(_fail, [self._ready], error)
            return
        loop.call_soon_threadsafe(_succeed, [(self._ready, self._engine)])
        try:
            while self._take_in():
                if self._calls:
                    self._step()
        except BaseException as error:
            self._die(f"vLLM failed: {type(error).__name__}: {first_line(error)}")
        else:
            self._die("the engine is closed")
        finally:
            self._shut_down()

    def _take_in(self) -> bool:
        """Wait for work, hand it to the engine, and say whether to go on."""
        with self._awake:
            while not (self._inbox or self._calls or self._closing):
                self._awake.wait(IDLE_CHECK_SECONDS)
            if self._closing:
                return False
            arrived = list(self._inbox)
            self._inbox.clear()
        finished: list[Call] = []
        for call in arrived:
            if call.cancelled:
                self._drop(call)
            else:
                self._add(call)
                finished += [] if call.waiting else [call]
        self._hand_back(finished + self._expired())
        return True

    def _add(self, call: Call) -> None:
        self._calls[call] = None
        call.answers = [None] * len(call.parameters)
        for position, parameters in enumerate(call.parameters):
            self._number += 1
            name = str(self._number)
            try:
                self._engine.add_request(name, {"prompt_token_ids": call.token_ids}, parameters)
            except Exception as error:
                if not self._refuses(error):
                    raise
                self._engine.abort_request([name])
                call.answers[position] = f"the engine refuses the request: {first_line(error)}"
            else:
                call.waiting.add(name)
                self._owners[name] = (call, position)

    def _step(self) -> None:
        finished = []
        for output in self._engine.step():
            owner = self._owners.pop(output.request_id, None) if output.finished else None
            if owner is None:
                continue
            call, position = owner
            call.answers[position] = output
            call.waiting.discard(output.request_id)
            if not call.waiting:
                finished.append(call)
        self._hand_back(finished)

    def _expired(self) -> list[Call]:
        now, late = time.monotonic(), []
        for call in self._calls:  # in order of arrival, so in order of deadline
            if call.deadline > now:
                break
            late.append(call)
        for call in late:
            for name in call.waiting:
                call.answers[self._owners[name][1]] = "no answer within the engine's request_timeout; aborted"
            self._abort(call)
        return late

    def _drop(self, call: Call) -> None:
        self._abort(call)
        self._calls.pop(call, None)

    def _abort(self, call: Call) -> None:
        names = list(call.waiting)
        call.waiting.clear()
        for name in names:
            self._owners.pop(name, None)
        if names:
            self._engine.abort_request(names)

    def _hand_back(self, calls: list[Call]) -> None:
        """One wake-up of each event loop for all that finished in a step (there is one loop, but in tests)."""
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
        for call in calls:
            if call in self._calls:
                del self._calls[call]
                by_loop.setdefault(call.future.get_loop(), []).append((call.future, call.answers))
        for loop, answers in by_loop.items():
            _wake(loop, _succeed, answers)

    def _die(self, message: str) -> None:
        with self._awake:
            self._death = message
            left = [*self._calls, *(call for call in self._inbox if call not in self._calls)]
            self._inbox.clear()
        for call in left:
            _wake(call.future.get_loop(), _fail, [call.future], EngineDead(message))
        self._calls.clear()
        self._owners.clear()

    def _shut_down(self) -> None:
        core = getattr(self._engine, "engine_core", None)
        self._engine = None
        try:
            if core is not None:
                core.shutdown()
        except Exception as error:  # a dead engine may fail again; the thread ends all the same
            logging.getLogger(__name__).warning("vLLM did not shut down cleanly: %s", first_line(error))


def _wake(loop: asyncio.AbstractEventLoop, *call: Any) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(*call)


def _succeed(answers: list[tuple["asyncio.Future[Any]", Any]]) -> None:
    for future, answer in answers:
        if not future.done():
            future.set_result(answer)


def _fail(futures: list["asyncio.Future[Any]"], error: BaseException) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
