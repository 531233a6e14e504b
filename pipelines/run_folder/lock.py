"""One driver a run: the second is refused at once.

On a local disk the lock is the kernel's and ends with the process that holds it. An object store has none, so a driver
leaves an object there and renews another beside it: one that was renewed lately is alive. Two that come at the same
time see each other, because listings are consistent and each looks only after a tick of the store's clock; the later
one gives way.
"""

import fcntl
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.store import StorePath, naming
from stepforge.schemas.errors import BadInput

RENEW_SECONDS = 10.0
STALE_SECONDS = 60.0
"""How long after its last renewal a driver of a store counts as dead; the store's own clock decides."""
CLOCK_SECONDS = 2.0
"""Longer than a tick of a store's clock."""
PATIENCE_SECONDS = 0.5
"""For who only looks whether the lock is held."""


class Taken(BadInput):
    """Another driver holds the folder."""


@contextmanager
def only_driver(layout: Layout) -> Iterator[str]:
    """Hold the run folder's lock, and give the name of this session, which workers hold against ``is_current``.

    Raises:
        BadInput: another driver is at work on it, or it cannot be written to.
    """
    session = uuid4().hex
    if isinstance(layout.folder, StorePath):
        with _lease(layout.folder / "drivers", session, layout):
            yield session
    else:
        with _kernel_lock(layout.folder, layout):
            with naming(layout.folder / ".lock"):
                (layout.folder / ".lock").write_text(session)
            yield session


def is_current(layout: Layout, session: str) -> bool:
    """Whether a session still holds the folder: an orphan of a killed driver must not commit into the next one's."""
    if isinstance(layout.folder, StorePath):
        return (layout.folder / "drivers" / session).exists()
    try:
        return (layout.folder / ".lock").read_text() == session
    except FileNotFoundError:
        return False


def is_held(layout: Layout) -> bool:
    """Whether a driver is at work on the folder."""
    try:
        with only_driver(layout):
            return False
    except Taken:
        return True
    except BadInput:  # nobody can write to it
        return False


@contextmanager
def _kernel_lock(folder: Path, layout: Layout) -> Iterator[None]:
    try:
        opened = (folder / ".lock").open("a+")
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written to ({error.strerror}); give another --out") from None
    with opened as file:
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise _taken(layout) from None
                time.sleep(0.05)
        yield


@contextmanager
def _lease(drivers: StorePath, session: str, layout: Layout) -> Iterator[None]:
    claim, beat = drivers / session, drivers / f"{session}.beat"
    owner = f"{socket.gethostname()} {os.getpid()}".encode()
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(RENEW_SECONDS):
            beat.write_bytes(owner)

    thread = threading.Thread(target=renew, name="driver-lease", daemon=True)
    try:
        claim.write_bytes(owner)
        thread.start()
        time.sleep(CLOCK_SECONDS)
        _give_way(drivers, claim, layout)
        yield
    finally:
        ended.set()
        if thread.is_alive():
            thread.join()
        beat.unlink(missing_ok=True)
        claim.unlink(missing_ok=True)


def _give_way(drivers: StorePath, mine: StorePath, layout: Layout) -> None:
    """Leave to a living driver that came first; forget dead ones."""
    now = mine.stat().st_mtime_ns
    written = {path.name: path.stat().st_mtime_ns for path in drivers.glob("*")}
    for name, came in written.items():
        if name == mine.name or name.endswith(".beat"):
            continue
        if now - written.get(f"{name}.beat", came) > STALE_SECONDS * 1e9:
            (drivers / name).unlink(missing_ok=True)
            (drivers / f"{name}.beat").unlink(missing_ok=True)
        elif (came, name) < (now, mine.name):
            raise _taken(layout)


def _taken(layout: Layout) -> Taken:
    lately = f", or was in the last {STALE_SECONDS:.0f} s" if isinstance(layout.folder, StorePath) else ""
    return Taken(f"{layout.folder}: another stepforge is at work on this folder{lately}; wait for it or end it")
