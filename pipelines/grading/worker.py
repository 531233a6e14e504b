"""The process that asks Math-Verify: limited in memory, processor time and files, and given no secrets.

It reads comparisons as JSON lines and answers each with one line, in order. Nothing of what it reads is executed,
and nothing it writes is unpickled. It ends when its input ends, so it never outlives the process that started it.
"""

import json
import logging
import math
import resource
import sys
from typing import TextIO

from stepforge.filters.symbolic import symbolic_outcome


def serve(requests: TextIO, replies: TextIO, *, seconds: int, memory_bytes: int) -> None:
    """Answer comparisons until the input ends; ``seconds`` bounds each phase of one (see ``symbolic_outcome``)."""
    _limit(resource.RLIMIT_AS, memory_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    _warm_up()
    _limit(resource.RLIMIT_FSIZE, 0)
    _reply(replies, "ready")
    for line in requests:
        reference, answer = json.loads(line)
        _limit_processor_time(4 * seconds + 2)
        _reply(replies, symbolic_outcome(reference, answer, seconds))


def _warm_up() -> None:
    logging.disable(logging.CRITICAL)  # Math-Verify logs whole answers
    symbolic_outcome(r"\frac{1}{2}x", r"\frac{x}{2}", 30)


def _reply(replies: TextIO, word: str) -> None:
    replies.write(word + "\n")
    replies.flush()


def _limit(what: int, soft: int) -> None:
    hard = resource.getrlimit(what)[1]
    resource.setrlimit(what, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _limit_processor_time(seconds: int) -> None:
    """Let the kernel end a comparison that hangs in C code even where nobody is left to kill this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime) + seconds)


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout, seconds=int(sys.argv[1]), memory_bytes=int(sys.argv[2]))
