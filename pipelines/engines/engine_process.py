"""vLLM's own processes: a failed start reports why, and none of them outlives this process."""

import subprocess
from collections.abc import Callable
from contextlib import nullcontext
from multiprocessing import active_children
from typing import Any

from stepforge.pipelines.engines.startup_errors import reason_from_stderr

KILL_AT_THE_END_OF_INPUT = 'read -r _; kill -9 "$@" 2>/dev/null'


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
