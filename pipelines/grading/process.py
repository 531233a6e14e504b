"""One comparing process (``worker``): started on demand, killed past the limit, restarted."""

import json
import os
import select
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import get_args

from stepforge.schemas.rollout import Outcome

START_SECONDS = 120.0
"""Time limit for starting a process, in seconds; importing sympy is slow on a loaded machine."""
GRACE_SECONDS = 1.0
"""How long past its limit a process may take to interrupt a comparison by itself, before it is killed."""
MEMORY_BYTES = 2 * 1024**3
"""Address space of a process."""
KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT", "TZ")
"""The only environment variables a process gets, so it never sees secrets."""

_OUTCOMES: dict[bytes | None, Outcome] = {outcome.encode(): outcome for outcome in get_args(Outcome)}


class NotStarted(RuntimeError):
    """No process can be started."""


class GradingProcess:
    """Used by one thread; any thread may stop it for good."""

    def __init__(self, *, processor_seconds: float, seconds: float) -> None:
        """``seconds`` is the wall-clock limit of a comparison."""
        self._processor_seconds = processor_seconds
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._lock = threading.Lock()
        self.ended = False
        """Whether it was stopped for good."""

    @property
    def pid(self) -> int | None:
        process = self._process
        return None if process is None else process.pid

    def ask(self, reference: str, answer: str) -> Outcome | None:
        """Return the outcome of a comparison; None if time ran out, ``undetermined`` if the process died.

        Raises:
            NotStarted: there is no process.
        """
        process = self._process or self._start()
        with suppress(OSError):  # it died; the answer below says so
            if process.stdin is not None:
                process.stdin.write((json.dumps([reference, answer]) + "\n").encode())
                process.stdin.flush()
        line = self._line(process, self._seconds + GRACE_SECONDS)
        if line == b"slow":
            return None
        if line not in _OUTCOMES:
            died = process.poll() is not None
            self._discard()
            return "undetermined" if died else None
        return _OUTCOMES[line]

    def interrupt(self) -> None:
        """Kill the process, and start none again; from any thread."""
        with self._lock:
            self.ended = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """Stop the process for good, in the thread that uses it: nobody else touches the pipes."""
        self.interrupt()
        self._discard()

    def _start(self) -> subprocess.Popen[bytes]:
        kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
        path = [str(Path(__file__).parents[3]), *(entry for entry in sys.path if entry)]
        command = [sys.executable, "-P", "-X", "utf8", "-m", "stepforge.pipelines.grading.worker"]
        with self._lock:
            if self.ended:
                raise NotStarted
            try:
                self._process = process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                    [*command, str(self._processor_seconds), str(MEMORY_BYTES)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=kept | {"PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"},
                    start_new_session=True,  # the driver handles Ctrl-C
                )
            except OSError as error:
                raise NotStarted from error
        self._unread = b""
        if self._line(process, START_SECONDS) != b"ready":
            self._discard()
            raise NotStarted
        return process

    def _discard(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):  # unsent requests are flushed into a broken pipe
                    pipe.close()

    def _line(self, process: subprocess.Popen[bytes], seconds: float) -> bytes | None:
        """Return the next line; None where it does not come in time, or the process ended."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._unread:
            remaining = deadline - time.monotonic()
            if process.stdout is None or remaining <= 0:
                return None
            if not select.select([process.stdout], [], [], remaining)[0]:
                return None
            received = os.read(process.stdout.fileno(), 65536)
            if not received:
                return None
            self._unread += received
        line, self._unread = self._unread.split(b"\n", 1)
        return line
