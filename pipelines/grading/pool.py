"""Killable processes for comparisons that may hang: one thread feeds one process and kills it past the limit.

Every comparison submitted is answered exactly once: by the process, or with ``undetermined`` when its process was
killed or died over it; only where no process starts at all it fails. The comparisons behind it in the same batch are
put to a fresh process.
"""

import json
import os
import queue
import select
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import get_args

from stepforge.filters.gates import MAX_LENGTH
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.rollout import Outcome

BATCH = 32
"""Comparisons sent to a process at once."""
BATCH_CHARACTERS = 4000
"""No more is added to a batch past this many characters; with the longest answers it then still fits a pipe."""
START_SECONDS = 120.0
"""Longest start of a process, in seconds; it imports sympy, and slowly on a loaded machine."""
KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT", "TZ")
"""All that a process gets of the environment: secrets are not removed, they are never given."""

Job = tuple[str, str, "Future[Outcome]"]


class GradingPool:
    """``processes`` workers, started with the first comparison; ``limit_seconds`` is wall-clock, for each."""

    def __init__(self, *, processes: int, limit_seconds: float, memory_bytes: int) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lanes = [
            _Lane(self._jobs, limit_seconds=limit_seconds, memory_bytes=memory_bytes) for _ in range(processes)
        ]
        self._lock = threading.Lock()
        self._started = self._closed = False

    @property
    def process_ids(self) -> list[int]:
        """The processes that run now."""
        return [lane.process.pid for lane in self._lanes if lane.process is not None]

    def submit(self, reference: str, answer: str) -> "Future[Outcome]":
        """Queue a comparison; its future fails (``RunFailed``) only where no process starts.

        Raises:
            RuntimeError: the pool is closed.
        """
        future: Future[Outcome] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the grading pool is closed")
            if not self._started:
                self._started = True
                for lane in self._lanes:
                    lane.thread.start()
            if max(len(reference), len(answer)) > MAX_LENGTH:
                future.set_result("undetermined")
            else:
                self._jobs.put((reference, answer, future))
        return future

    def close(self) -> None:
        """End all processes; what is still queued becomes ``undetermined``. Blocks until they are gone."""
        with self._lock:
            self._closed = True
            if not self._started:
                return
        for lane in self._lanes:
            lane.interrupt()
            self._jobs.put(None)
        for lane in self._lanes:
            lane.thread.join()
        while not self._jobs.empty():
            job = self._jobs.get()
            if job is not None:
                _settle(job, "undetermined")


class _Lane:
    """A thread and the process it feeds. Only the thread touches the pipes; others may kill the process."""

    def __init__(self, jobs: "queue.SimpleQueue[Job | None]", *, limit_seconds: float, memory_bytes: int) -> None:
        self.jobs = jobs
        self.limit = limit_seconds
        self.memory = memory_bytes
        self.process: subprocess.Popen[bytes] | None = None
        self.unread = b""
        self.closing = False
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.run, name="grading", daemon=True)

    def interrupt(self) -> None:
        """Kill the process and let the thread end."""
        with self.lock:
            self.closing = True
            if self.process is not None:
                self.process.kill()

    def run(self) -> None:
        try:
            while (first := self.jobs.get()) is not None:
                self._serve([first, *self._more()])
        finally:
            self._discard()

    def _serve(self, batch: list[Job]) -> None:
        while batch and not self.closing:
            if self.process is None and not self._start() and not self.closing:
                for job in batch:
                    job[2].set_exception(RunFailed("the grading process does not start; try `stepforge doctor`"))
                return
            answered = self._ask(batch)
            if len(answered) < len(batch):
                self._discard()
                answered.append("undetermined")
            for job, outcome in zip(batch, answered, strict=False):
                _settle(job, outcome)
            batch = batch[len(answered) :]
        for job in batch:
            _settle(job, "undetermined")

    def _more(self) -> list[Job]:
        """Take what else is queued, up to a batch that the pipe holds: a write must not wait for a hanging process."""
        batch: list[Job] = []
        characters = 0
        while len(batch) < BATCH - 1 and characters < BATCH_CHARACTERS:
            try:
                job = self.jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self.jobs.put(None)  # the sign to end, for this lane or another
                break
            batch.append(job)
            characters += len(job[0]) + len(job[1])
        return batch

    def _ask(self, batch: list[Job]) -> list[Outcome]:
        """Return the outcomes that came, in order; fewer than asked when the process failed over the next one."""
        process = self.process
        answered: list[Outcome] = []
        if process is None or process.stdin is None:
            return answered
        try:
            lines = "".join(json.dumps([r, a], ensure_ascii=False) + "\n" for r, a, _ in batch)
            process.stdin.write(lines.encode(errors="replace"))
            process.stdin.flush()
        except OSError:  # it died; what it answered before may still be read
            pass
        while len(answered) < len(batch):
            outcome = _OUTCOMES.get(self._line(process, self.limit))
            if outcome is None:
                break
            answered.append(outcome)
        return answered

    def _start(self) -> bool:
        """Start a process and wait until it is ready; False where it does not get there."""
        kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
        path = [str(Path(__file__).parents[3]), *(entry for entry in sys.path if entry)]
        phase = max(1, int(self.limit / 3))
        with self.lock:
            if self.closing:
                return False
            try:
                self.process = process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                    [
                        sys.executable,
                        "-P",
                        "-X",
                        "utf8",
                        "-m",
                        "stepforge.pipelines.grading.worker",
                        str(phase),
                        str(self.memory),
                    ],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=kept | {"PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"},
                    start_new_session=True,  # an interrupt from the keyboard is for the driver to handle
                )
            except OSError:
                return False
        self.unread = b""
        if self._line(process, START_SECONDS) == b"ready":
            return True
        self._discard()
        return False

    def _discard(self) -> None:
        with self.lock:
            process, self.process = self.process, None
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
        while b"\n" not in self.unread:
            remaining = deadline - time.monotonic()
            if process.stdout is None or remaining <= 0:
                return None
            if not select.select([process.stdout], [], [], remaining)[0]:
                return None
            received = os.read(process.stdout.fileno(), 65536)
            if not received:
                return None
            self.unread += received
        line, self.unread = self.unread.split(b"\n", 1)
        return line


def _settle(job: Job, outcome: Outcome) -> None:
    if not job[2].done():
        job[2].set_result(outcome)


_OUTCOMES: dict[bytes | None, Outcome] = {outcome.encode(): outcome for outcome in get_args(Outcome)}
