"""The process that calls Math-Verify: limited in memory, CPU time and files, and without secrets.

It reads comparisons as JSON and answers each with one word, in order: an outcome, or ``slow`` if time ran out. Nothing
that it reads is executed, and nothing that it writes is unpickled. It ends when its pipe closes, so it never outlives
the process that started it.
"""

import json
import logging
import math
import resource
import signal
import sys
from multiprocessing.connection import Connection
from types import FrameType

from stepforge.grading.symbolic import symbolic_outcome

WARM_UP_SECONDS = 60.0


class _TimeOver(BaseException):
    """Raised by the timer; not an ``Exception``, because the libraries catch those."""


def serve(pipe: Connection, *, seconds: float, memory_bytes: int) -> None:
    """Answer comparisons until the pipe closes; each may take ``seconds`` of CPU time."""
    _limit(resource.RLIMIT_AS, memory_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    signal.signal(signal.SIGPROF, _time_over)
    logging.disable(logging.CRITICAL)  # Math-Verify logs whole answers
    _within(WARM_UP_SECONDS, r"\frac{1}{2}x", r"\int_0^1 \frac{x}{2} dx")
    _limit(resource.RLIMIT_FSIZE, 0)
    pipe.send_bytes(b"ready")
    while True:
        try:
            reference, answer = json.loads(pipe.recv_bytes())
        except (EOFError, ConnectionError):
            return
        _limit_processor_time(seconds + 2)
        pipe.send_bytes(_within(seconds, reference, answer).encode())


def _within(seconds: float, reference: str, answer: str) -> str:
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds, 0.05)  # again, in case a library swallows the first
        return symbolic_outcome(reference, answer)
    except _TimeOver:
        return "slow"
    except (MemoryError, RecursionError):
        return "undetermined"
    finally:
        _stop_timer()


def _stop_timer() -> None:
    for _ in range(3):
        try:
            signal.setitimer(signal.ITIMER_PROF, 0)
            return
        except _TimeOver:
            continue


def _time_over(number: int, frame: FrameType | None) -> None:
    raise _TimeOver


def _limit(what: int, soft: int) -> None:
    hard = resource.getrlimit(what)[1]
    resource.setrlimit(what, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _limit_processor_time(seconds: float) -> None:
    """Have the kernel end a comparison that hangs in C code, even if no one is left to kill this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime + seconds))


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])), seconds=float(sys.argv[2]), memory_bytes=int(sys.argv[3]))
