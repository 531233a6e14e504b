"""vLLM's own process, where it computes in one: its death is noticed here, and it does not outlive this process."""

import subprocess
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from multiprocessing import active_children
from typing import Any

from stepforge.pipelines.engines.held_back import HeldBack
from stepforge.pipelines.engines.tokenization import first_line

WATCH_SECONDS = 1.0
KILL_AT_THE_END_OF_INPUT = 'read -r _; kill -9 "$@" 2>/dev/null'


def built_and_watched(build: Callable[[], Any], *, quiet: bool) -> Any:
    """Build an engine that starts processes, and watch over them as long as there is the engine.

    With ``quiet``, what they write to standard error is held back until they have started.

    Raises:
        RuntimeError: they do not start; the message is the reason that they gave themselves.
    """
    before = {child.pid for child in active_children()}
    said = HeldBack()
    try:
        with said if quiet else nullcontext():
            engine = build()
    except RuntimeError as error:
        raise RuntimeError(said.reason or first_line(error)) from error
    started = [str(child.pid) for child in active_children() if child.pid not in before]
    arguments = (weakref.ref(engine.engine_core), _reaper(started))
    threading.Thread(target=_watch, args=arguments, name="vllm-watch", daemon=True).start()
    return engine


def _reaper(processes: list[str]) -> "subprocess.Popen[bytes]":
    """Start what kills the processes when this one is gone, however it ended: then the other end of its input is shut.

    A session of its own, so that Ctrl-C in a terminal and a signal to the whole group leave it.
    """
    command = ["sh", "-c", KILL_AT_THE_END_OF_INPUT, "stepforge-reaper", *processes]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603 - process ids


def _watch(watched: "weakref.ref[Any]", reaper: "subprocess.Popen[bytes]") -> None:
    """vLLM waits for ever for the answers of a process that was killed; this wakes it with the error."""
    while (core := watched()) is not None:
        try:
            core.ensure_alive()
        except Exception as error:  # of whatever kind: it is the engine's, and the stepper raises it again
            core.outputs_queue.put_nowait(error)
            break
        del core
        time.sleep(WATCH_SECONDS)
    reaper.kill()
    reaper.communicate()
