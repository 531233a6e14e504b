"""What processes write to standard error while they start: kept until it is known whether they do.

vLLM tells its caller only that its process did not start, and writes the reason to standard error, in the middle of two
or three tracebacks. Here the reason is read out of them.
"""

import os
import re
import threading
from types import TracebackType

ERROR = re.compile(
    r"(?:\([^)]*\) *)*(?:ERROR [^\]]*\] *)?"  # (EngineCore pid=7) ERROR 11-21 18:44:48 [core.py:1510]
    r"(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception): *(?P<message>\S.*)"
)
"""The last line of a traceback, as Python writes it, or with the name of its process and the time before it."""
SECONDS = 5.0
"""How long the last words of a process that has ended are waited for."""
LONGEST = 500
_ONE_AT_A_TIME = threading.Lock()
"""There is one standard error."""


class HeldBack:
    """A context in which processes are started: what they write comes out at its end; of a failure only the reason.

    The processes keep the pipe, and what they write later comes out at once. Meanwhile everything else that this
    process writes to standard error is held back too.
    """

    def __init__(self) -> None:
        """Hold nothing back yet."""
        self._lines: list[str] = []
        self._holding = True
        self._turn = threading.Lock()

    def __enter__(self) -> "HeldBack":
        """Begin to hold back."""
        _ONE_AT_A_TIME.acquire()
        try:
            self._ours = os.dup(2)
        except OSError:  # this process has no standard error
            _ONE_AT_A_TIME.release()
            raise
        read, write = os.pipe()
        os.dup2(write, 2)
        os.close(write)
        self._pump = threading.Thread(target=self._pass_on, args=(read,), name="held-back", daemon=True)
        self._pump.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let out what was held back, unless an error ends it and ``reason`` speaks for it."""
        os.dup2(self._ours, 2)
        os.close(self._ours)
        _ONE_AT_A_TIME.release()
        if error is not None:
            self._pump.join(SECONDS)
            if self.reason is not None:
                return
        with self._turn:
            self._holding = False
            _write("".join(self._lines))

    @property
    def reason(self) -> str | None:
        """The message of the first error that was written, which is the one that led to the others."""
        for line in self._lines:
            found = ERROR.match(line)
            if found:
                return found["message"].strip()[:LONGEST]
        return None

    def _pass_on(self, read: int) -> None:
        with open(read, encoding="utf-8", errors="replace") as pipe:
            for line in pipe:
                with self._turn:
                    if self._holding:
                        self._lines.append(line)
                    else:
                        _write(line)


def _write(text: str) -> None:
    data = text.encode("utf-8", "replace")
    while data:
        data = data[os.write(2, data) :]
