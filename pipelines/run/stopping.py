"""Ctrl-C and SIGTERM: the first shuts down cleanly, the second stops immediately."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, TypeVar

from stepforge.schemas.errors import Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOPPING = "stepforge: stopping and closing open work; press Ctrl-C again to stop immediately\n"
T = TypeVar("T")


class Stopping:
    """Listens for the signals within its block, and ends its work when one comes.

    An immediate stop leaves what a kill leaves: whole files, and shards to redo.
    """

    def __init__(self) -> None:
        self._received: int | None = None
        self._cancel: Callable[[], object] | None = None
        """Ends the current work; None while there is none, and a signal is raised where it arrives."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stopping":
        """Start listening, if this is the main thread: no other can."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in SIGNALS}
            self._listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if isinstance(error, SystemExit) and error.code == signal.SIGTERM:  # from Ray's own handler, while it starts
            raise Stopped(signal.SIGTERM) from None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let work that must not be interrupted finish first: Ray's startup and shutdown. Raises Stopped: a signal came
        meanwhile."""
        before, self._cancel = self._cancel, _say_so
        try:
            yield
        finally:
            self._cancel = before
            self._listen()  # Ray installs its own SIGTERM handler when it starts
        if self._received is not None:
            raise Stopped(self._received)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end in an event loop. Raises Stopped: a signal came. The work was cancelled, and has closed what
        it opened."""
        try:
            return asyncio.run(self._watched(work))
        except BaseException:
            if self._received is not None:
                raise Stopped(self._received) from None
            raise
        finally:
            self._cancel = None

    async def _watched(self, work: Coroutine[Any, Any, T]) -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def end() -> None:
            sys.stderr.write(STOPPING)
            if task is not None:
                task.cancel()

        self._cancel = partial(loop.call_soon_threadsafe, end)
        return await work

    def _listen(self) -> None:
        for number, before in self._before.items():
            if before is not signal.SIG_IGN:  # as a shell sets it for background jobs
                signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._received is not None:
            _kill_all_below(os.getpid())
            os._exit(128 + number)
        self._received = number
        if self._cancel is None:
            raise Stopped(number)
        with suppress(RuntimeError):  # the loop has just closed, and `held` will raise it
            self._cancel()


def _say_so() -> None:
    os.write(2, STOPPING.encode())  # a signal may come in the middle of a buffered write


def _kill_all_below(process: int) -> None:
    """Kill a process's descendants, mainly a local Ray's; without /proc, Ray ends by itself after a while."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    below = [*children.get(process, ())]
    for child in below:  # grows during iteration
        below += children.get(child, ())
    for child in below:
        with suppress(OSError):
            os.kill(child, signal.SIGKILL)
