"""One comparing process (``worker``): started on demand, killed past the limit, restarted."""

import json
import subprocess
import threading
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import get_args

from stepforge.pipelines.sandbox.process import start_module
from stepforge.schemas.rollout import Outcome

WORKER = "stepforge.pipelines.grading.worker"
START_SECONDS = 120.0
"""Time limit for starting a process, in seconds; importing sympy is slow on a loaded machine."""
GRACE_SECONDS = 1.0
"""How long past its limit a process may take to interrupt a comparison by itself, before it is killed."""
MEMORY_BYTES = 2 * 1024**3
"""Address space of a process."""
LONGEST_REPLY = 100

_OUTCOMES: dict[bytes, Outcome] = {outcome.encode(): outcome for outcome in get_args(Outcome)}


class NotStarted(RuntimeError):
    """No process can be started."""


class GradingProcess:
    """Used by one thread; any thread may stop it for good."""

    def __init__(self, *, processor_seconds: float, seconds: float) -> None:
        """``seconds`` is the wall-clock limit of a comparison."""
        self._processor_seconds = processor_seconds
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._lock = threading.Lock()
        self.ended = False
        """Whether it was stopped for good."""

    def ask(self, reference: str, answer: str) -> Outcome | None:
        """Return the outcome of a comparison; None if time ran out, ``undetermined`` if the process died.

        Raises:
            NotStarted: there is no process.
        """
        pipe = self._pipe or self._start()
        try:
            pipe.send_bytes(json.dumps([reference, answer]).encode())
            said = pipe.recv_bytes(LONGEST_REPLY) if pipe.poll(self._seconds + GRACE_SECONDS) else b""
        except (OSError, EOFError):
            self._discard()
            return "undetermined"
        if not said:
            self._discard()
        return _OUTCOMES.get(said)

    def interrupt(self) -> None:
        """Kill the process, and start none again; from any thread."""
        with self._lock:
            self.ended = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """Stop the process for good, in the thread that uses it: nobody else touches the pipe."""
        self.interrupt()
        self._discard()

    def _start(self) -> Connection:
        limits = str(self._processor_seconds), str(MEMORY_BYTES)
        try:
            ours, theirs = Pipe()
        except OSError as error:
            raise NotStarted from error
        with self._lock, theirs:
            if self.ended:
                raise NotStarted
            try:
                self._process = start_module(WORKER, theirs.fileno(), *limits, OMP_NUM_THREADS="1")
            except OSError as error:
                raise NotStarted from error
        with suppress(OSError, EOFError):
            if ours.poll(START_SECONDS) and ours.recv_bytes(LONGEST_REPLY) == b"ready":
                self._pipe = ours
                return ours
        self._discard()
        raise NotStarted

    def _discard(self) -> None:
        with self._lock:
            process, pipe, self._process, self._pipe = self._process, self._pipe, None, None
        if pipe is not None:
            pipe.close()
        if process is not None:
            process.kill()
            process.wait()
