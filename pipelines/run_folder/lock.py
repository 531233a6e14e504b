"""One driver per run: the second is refused immediately. Readers write nothing and take no lock.

On a local disk the lock is the kernel's and ends with the process that holds it. The package ``filelock`` is no
substitute: it empties the file on every attempt, but workers read the run's owner there. An object store has no locks,
so a driver writes one object and keeps renewing another: one renewed recently is alive. Two that start at the same time
see each other, because listings are consistent and each looks only after a tick of the store's clock; the later one
yields.
"""

import fcntl
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.regular_files import check_tree, open_regular, read_small
from stepforge.pipelines.storage.store import StorePath, naming
from stepforge.schemas.errors import BadInput

LOCK_FILE = ".lock"
RENEW_SECONDS = 10.0
STALE_SECONDS = 60.0
"""How long after its last renewal a driver of a store counts as dead; the store's own clock decides."""
CLOCK_SECONDS = 2.0
"""Longer than a tick of a store's clock."""
PATIENCE_SECONDS = 0.5
"""For readers that only check whether the lock is held."""


@contextmanager
def only_driver(layout: Layout) -> Iterator[str]:
    """Hold the run folder's lock, and yield the name of this session, which workers check with ``is_current``. Raises
    BadInput: another driver is running on it, it cannot be written to, or it holds links or other special files."""
    session = uuid4().hex
    if isinstance(layout.folder, StorePath):
        with _lease(layout.folder / "drivers", session, layout):
            yield session
        return
    check_tree(layout.folder)
    descriptor = _opened(layout.folder)
    try:
        _lock(descriptor, layout)
        with naming(layout.folder / LOCK_FILE):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, session.encode(), 0)
        yield session
    finally:
        os.close(descriptor)


def is_current(layout: Layout, session: str) -> bool:
    """Whether a session still holds the folder: a killed driver's orphan must not commit into the next driver's run."""
    if isinstance(layout.folder, StorePath):
        return (layout.folder / "drivers" / session).exists()
    try:
        return read_small(layout.folder / LOCK_FILE) == session.encode()
    except FileNotFoundError:
        return False


def is_held(layout: Layout) -> bool:
    """Whether a driver is running on the folder. Writes nothing, so it works on a read-only disk too."""
    if isinstance(layout.folder, StorePath):
        return _is_leased(layout.folder / "drivers")
    with naming(layout.folder / LOCK_FILE):
        try:
            descriptor = open_regular(layout.folder / LOCK_FILE)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False


def _opened(folder: Path) -> int:
    try:
        descriptor = open_regular(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written to ({error.strerror})") from None
    if os.fstat(descriptor).st_nlink > 1:  # writing here would write into another folder's file
        os.close(descriptor)
        raise BadInput(f"{folder / LOCK_FILE}: a hard link to another file; nothing was done, delete it")
    return descriptor


def _lock(descriptor: int, layout: Layout) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise _taken(layout) from None
            time.sleep(0.05)


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
    """Yield to a living driver that came first; ignore dead ones."""
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


def _is_leased(drivers: StorePath) -> bool:
    """By this machine's clock: reading the store's clock would require a write."""
    oldest = time.time_ns() - int(STALE_SECONDS * 1e9)
    for path in drivers.glob("*"):
        with suppress(FileNotFoundError):  # its driver has just ended
            if path.stat().st_mtime_ns > oldest:
                return True
    return False


def _taken(layout: Layout) -> BadInput:
    lately = f", or was in the last {STALE_SECONDS:.0f} s" if isinstance(layout.folder, StorePath) else ""
    return BadInput(f"{layout.folder}: another stepforge is running in this folder{lately}; wait for it or stop it")
