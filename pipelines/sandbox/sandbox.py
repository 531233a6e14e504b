"""Running code from outside: `await sandbox.run(code)`, and the outcome of a solution by tests or a user's own rule.

A failure around the code (no process, a dead process, time or memory exhausted) is ``undetermined``.
"""

import asyncio
import json
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, TypedDict, TypeVar, get_args

from stepforge.grading.programs import completed
from stepforge.pipelines.sandbox.barriers import Barriers
from stepforge.pipelines.sandbox.process import Heard, Limits, NoIsolation, Zygote, listen
from stepforge.pipelines.sandbox.wire import send
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Outcome
from stepforge.schemas.verifier import AnyVerifier, CommandVerifier, PythonVerifier, UnitTests

__all__ = ["Limits", "NoIsolation", "Ran", "Ruling", "Sandbox"]

T = TypeVar("T")

_WORDS: dict[str, Outcome] = {word: word for word in get_args(Outcome)}
DEFAULT = Limits()
_TRIES = 3
OWN_MEMORY = 4 << 30
"""Address space of the user's own program, in bytes."""


class Ran(Record):
    status: Literal["done", "error", "time_over", "past_limit", "died"]
    """``past_limit``: out of memory, or more output than is kept; ``died``: the process ended without an answer."""
    output: str = ""
    value: str | None = None
    """Of the last statement, where it is an expression."""
    error: str = ""


class Ruling(NamedTuple):
    outcome: Outcome
    message: str = ""


class Question(TypedDict):
    question: str
    solution: str
    kept: dict[str, str]


class Sandbox(AbstractAsyncContextManager["Sandbox"]):
    """``processes`` executions at a time; belongs to no event loop, and may be shared by many tasks.

    Nothing starts before the first use, and nothing outlives ``close``.
    """

    def __init__(self, processes: int = 2) -> None:
        self._processes = processes
        self._threads: ThreadPoolExecutor | None = None
        self._idle: queue.SimpleQueue[Zygote] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False

    async def run(self, program: str, *, limits: Limits = DEFAULT) -> Ran:
        """Run a Python program; its exceptions are in the result. Raises NoIsolation: it was not run."""
        return await self._do(lambda zygote: _run(zygote, program, limits))

    def ask(self, verifier: AnyVerifier, question: Question) -> "Future[Ruling]":
        """Return a future for a solution's outcome; it fails with ``NoIsolation`` if nothing can run."""
        asks: dict[type, Callable[..., Ruling]] = {UnitTests: _test, PythonVerifier: _ask_function}
        ask = partial(asks.get(type(verifier), _ask_command), verifier=verifier, question=question)
        return self._pool().submit(self._with_zygote, ask)

    async def check(self) -> Barriers:
        """Start a process and check that it cannot escape. Raises NoIsolation: it can, or none starts."""
        ran, found = await self._do(lambda zygote: (_run(zygote, _ESCAPES, Limits(seconds=30)), zygote.barriers))
        if ran.value != "'held'":
            raise NoIsolation(f"isolation does not work here: {ran.value or ran.error or ran.status}")
        return found

    async def close(self) -> None:
        """End all processes; what is still running has no result."""
        await asyncio.to_thread(self._end)

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _do(self, work: Callable[[Zygote], T]) -> T:
        return await asyncio.wrap_future(self._pool().submit(self._with_zygote, work))

    def _pool(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._closed:
                raise RuntimeError("the sandbox is closed")
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._processes, "sandbox")
                for _ in range(self._processes):
                    self._idle.put(Zygote())
            return self._threads

    def _with_zygote(self, work: Callable[[Zygote], T]) -> T:
        zygote = self._idle.get()
        try:
            for _ in range(_TRIES):
                try:
                    return work(zygote)
                except ConnectionError:  # it was killed from outside; a new one is as good
                    zygote.close()
            raise NoIsolation("the process that starts confined ones keeps being killed")
        except (OSError, ValueError) as error:
            zygote.close()
            raise NoIsolation(f"a confined process does not start ({error}); try `stepforge doctor`") from error
        finally:
            self._idle.put(zygote)

    def _end(self) -> None:
        with self._lock:
            self._closed = True
            threads = self._threads
        if threads is not None:
            threads.shutdown(wait=True, cancel_futures=True)
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()


class _Execution(ExitStack[None]):
    """The processes and files of one execution; all are cleaned up at the end of the block."""

    def __init__(self, zygote: Zygote, limits: Limits) -> None:
        super().__init__()
        self.zygote, self.limits = zygote, limits
        self.deadline = time.monotonic() + limits.seconds

    def pair(self) -> tuple[socket.socket, socket.socket]:
        first, second = socket.socketpair()
        return self.enter_context(first), self.enter_context(second)

    def start(
        self, work: dict[str, dict[str, socket.socket]], reads: tuple[str, ...] = (), *, own_program: bool = False
    ) -> None:
        self.callback(self.zygote.end, self.zygote.start(work, self.limits, reads, own_program=own_program))

    def listen(self, control: socket.socket, output: socket.socket | None = None) -> Heard:
        return listen(control, None if output is None else output.fileno(), self.deadline, self.limits.output)


def _run(zygote: Zygote, program: str, limits: Limits) -> Ran:
    with _Execution(zygote, limits) as execution:
        (control, theirs), (output, written) = execution.pair(), execution.pair()
        execution.start({"run": {"control": theirs, "output": written}})
        send(control.fileno(), {"program": program, "limit": limits.output})
        heard = execution.listen(control, output)
    text = heard.output.decode(errors="backslashreplace")
    if heard.answer is None:
        full = len(heard.output) >= limits.output
        return Ran(status="past_limit" if full else "died" if heard.in_time else "time_over", output=text)
    status, value, error = map(heard.answer.get, ("status", "value", "error"))
    return Ran(
        status=status if status in ("done", "error", "past_limit") else "died",
        output=text,
        value=value if isinstance(value, str) else None,
        error=error if isinstance(error, str) else "",
    )


def _test(zygote: Zygote, verifier: UnitTests, question: Question) -> Ruling:
    limits = Limits(seconds=verifier.seconds, disk=0)
    with _Execution(zygote, limits) as execution:
        (control, theirs), (link, served) = execution.pair(), execution.pair()
        execution.start({"program": {"control": served}, "tests": {"control": theirs, "link": link}})
        fields = verifier.model_dump(include={"tests", "entry_point", "setup"})
        program = completed(verifier.setup, verifier.entry_point, question["solution"])
        send(control.fileno(), {"program": program, **fields})
        heard = execution.listen(control)
    if heard.answer is None:
        return Ruling("undetermined", "died") if heard.in_time else Ruling(verifier.over_limit, "time over")
    if heard.answer.get("outcome") == "past_limit":
        return Ruling(verifier.over_limit, str(heard.answer.get("message")))
    return _ruling(heard.answer)


def _ask_function(zygote: Zygote, verifier: PythonVerifier, question: Question) -> Ruling:
    path = [str(Path.cwd()) if entry == "" else entry for entry in sys.path]
    with _Execution(zygote, Limits(seconds=verifier.seconds, memory=OWN_MEMORY)) as execution:
        control, theirs = execution.pair()
        execution.start({"function": {"control": theirs}}, tuple(path), own_program=True)
        send(control.fileno(), {"function": verifier.function, "path": path, **question})
        heard = execution.listen(control)
    if heard.answer is None:
        return Ruling("undetermined", f"{verifier.function}: {'died' if heard.in_time else 'timed out'}")
    return _ruling(heard.answer)


def _ask_command(zygote: Zygote, verifier: CommandVerifier, question: Question) -> Ruling:
    command = [sys.executable if part == "{python}" else part for part in verifier.command]
    named = [part for part in command if Path(part).is_absolute()]
    reads = (*(str(Path(path).absolute()) for path in (*named, *verifier.reads)), sys.prefix, sys.base_prefix)
    with _Execution(zygote, Limits(seconds=verifier.seconds, memory=OWN_MEMORY)) as execution:
        (control, theirs), (output, written) = execution.pair(), execution.pair()
        given, source = execution.pair()
        files = {"control": theirs, "output": written, "input": source}
        execution.start({"command": files}, reads, own_program=True)
        send(control.fileno(), {"command": command})
        with suppress(OSError):  # a command that does not read
            given.sendall(json.dumps(question).encode() + b"\n")
        given.close()
        heard = execution.listen(control, output)
    lines = heard.output.decode(errors="replace").split()
    if not heard.in_time:
        return Ruling("undetermined", f"{command[0]}: timed out")
    if heard.answer != {"exit": 0}:
        return Ruling("undetermined", f"{command[0]}: did not exit with code 0 ({heard.answer})")
    if not lines or lines[-1] not in _WORDS:
        return Ruling("undetermined", f"{command[0]}: its last word is not correct, wrong or undetermined")
    return Ruling(_WORDS[lines[-1]])


def _ruling(answer: Mapping[str, object]) -> Ruling:
    return Ruling(_WORDS.get(str(answer.get("outcome")), "undetermined"), str(answer.get("message", "")))


_ESCAPES = """
import os, socket
out = []
for path in ("/etc/passwd", "/proc/self/environ", "/"):
    try:
        os.close(os.open(path, os.O_RDONLY))
        out.append("reads " + path)
    except OSError:
        pass
for what in (lambda: socket.socket(), os.fork, lambda: os.kill(os.getppid(), 0)):
    try:
        what()
        out.append("a forbidden call succeeds")
    except OSError:
        pass
", ".join(out) or "held"
"""
