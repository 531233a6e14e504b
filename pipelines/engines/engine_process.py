"""vLLM's own processes: a failed start reports why, and none of them outlives this process.

Standard error is withheld during startup: passed on once they are up, else searched for the reason, which is in the
middle of two or three tracebacks. vLLM only raises "initialization failed" for a process that did not start.
"""

import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing import active_children
from typing import Any

KILL_AT_THE_END_OF_INPUT = 'read -r _; kill -9 "$@" 2>/dev/null'
ERROR = re.compile(
    r"(?:\([^)]*\) *)*(?:ERROR [^\]]*\] *)?"  # (EngineCore pid=7) ERROR 11-21 18:44:48 [core.py:1510]
    r"(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception): *(?P<message>\S.*)"
)
"""The last line of a traceback, as Python writes it, or with the name of its process and the time before it."""
SECONDS = 5.0
"""How long to wait for the last output of a process that has ended."""
LONGEST = 500
NEEDLESS = "Triton is installed, but doesn't include CPU backend"
"""vLLM warns of it in its spawned process before any of its logging settings apply there."""
_ONE_AT_A_TIME = threading.Lock()
"""There is one standard error."""


class Reaper:
    """Kills processes when this one is gone, however it ended: the other end of the reaper's input is then closed.

    vLLM's engine process does not notice the death of its parent.
    """

    def __init__(self, pids: list[int]) -> None:
        command = ["sh", "-c", KILL_AT_THE_END_OF_INPUT, "stepforge-reaper", *map(str, pids)]
        self._process = subprocess.Popen(  # noqa: S603 - process ids
            command,
            stdin=subprocess.PIPE,
            start_new_session=True,  # not reached by Ctrl-C in a terminal or a signal to the whole group
        )

    def dismiss(self) -> None:
        self._process.kill()
        self._process.communicate()


def start_watched(start: Callable[[], Any], *, quiet: bool) -> tuple[Any, Reaper]:
    """Start an engine, and a reaper for the processes that it starts.

    With ``quiet``, their standard error is withheld until they have started.

    Raises:
        RuntimeError: they do not start; the message is the reason they printed.
    """
    before = {child.pid for child in active_children()}
    with reason_from_stderr() if quiet else nullcontext():
        engine = start()
    return engine, Reaper([child.pid for child in active_children() if child.pid and child.pid not in before])


@contextmanager
def reason_from_stderr() -> Iterator[None]:
    """Withhold standard error in this block, and pass it on at the end.

    Processes started in the block keep the pipe; their later output is passed on immediately.

    Raises:
        RuntimeError: the block raised one; the message is the first error written, if any.
    """
    with _ONE_AT_A_TIME:
        pump = _Pump()
        try:
            try:
                yield
            finally:
                pump.restore()
        except RuntimeError as error:
            if (reason := pump.reason()) is not None:
                raise RuntimeError(reason) from error
            raise
        finally:
            pump.release()


class _Pump:
    def __init__(self) -> None:
        self._lines: list[str] = []
        self._holding = True
        self._turn = threading.Lock()
        self._ours = os.dup(2)
        read, write = os.pipe()
        os.dup2(write, 2)
        os.close(write)
        self._thread = threading.Thread(target=self._pass_on, args=(read,), name="stderr", daemon=True)
        self._thread.start()

    def restore(self) -> None:
        """Restore this process's own standard error; the child processes keep the pipe."""
        os.dup2(self._ours, 2)
        os.close(self._ours)

    def release(self) -> None:
        """Write the withheld output, and everything later as it comes."""
        with self._turn:
            self._holding = False
            _write("".join(self._lines))

    def reason(self) -> str | None:
        """Return the message of the first error, which caused the others; it replaces all of the output."""
        self._thread.join(SECONDS)
        found = next(filter(None, map(ERROR.match, self._lines)), None)
        if found is None:
            return None
        self._lines.clear()
        return found["message"].strip()[:LONGEST]

    def _pass_on(self, read: int) -> None:
        with open(read, encoding="utf-8", errors="replace") as pipe:
            for line in pipe:
                if line.startswith(NEEDLESS):
                    continue
                with self._turn:
                    if self._holding:
                        self._lines.append(line)
                    else:
                        _write(line)


def _write(text: str) -> None:
    data = text.encode("utf-8", "replace")
    while data:
        data = data[os.write(2, data) :]
