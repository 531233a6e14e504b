"""Something happens at one chosen operation on the files below a folder: the process ends, or the disk is full.

The operations are open for writing, write, fsync, mkdir, replace, rename, unlink and rmdir. Each has a name that is the
same in every run: the operation, the path, and how often it was done to that path before.
"""

import errno
import io
import os
import re
import threading
from collections import Counter
from pathlib import Path
from typing import Any

PATH_CALLS = ("mkdir", "replace", "rename", "unlink", "rmdir")
CRASH = 137
"""Exit code of a process that ended at an operation."""
LASTING = {errno.ENOSPC: {"open", "write", "fsync", "mkdir"}, errno.EROFS: {"open", *PATH_CALLS}}
"""Errors that go on once they have begun, and for what; the others happen once."""


class FileFault:
    """Counts the operations of this process; at one of them it ends, or an error begins."""

    def __init__(self, folder: Path, log: Path, at: str, error: int | None = None) -> None:
        """``log`` gets the name of every operation, ``at`` is the chosen one's; without ``error`` it is a crash."""
        self.folder = str(folder)
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self.at = at
        self.error = error
        self.begun = False
        self.seen: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.real = {name: getattr(os, name) for name in (*PATH_CALLS, "fsync")} | {"open": io.open}

    def install(self) -> None:
        """Take the place of the real calls."""
        for name in PATH_CALLS:
            setattr(os, name, self._path_call(name))
        os.fsync = self._fsync  # type: ignore[assignment]
        io.open = self._open

    def hits(self, operation: str, path: Any) -> bool:
        """Take note of an operation, and say whether the fault is to happen."""
        place = _steady(str(path))
        if not place.startswith(self.folder):
            return False
        with self.lock:
            name = f"{operation} {place[len(self.folder) :]}"
            self.seen[name] += 1
            name = f"{name} #{self.seen[name]}"
            os.write(self.log, f"{name}\n".encode())
            lasts = self.begun and operation in LASTING.get(self.error or 0, ())
            self.begun = self.begun or name == self.at
            return lasts or name == self.at

    def strike(self, *paths: Any) -> None:
        """End the process, or raise the error."""
        if self.error is None:
            os._exit(CRASH)
        raise OSError(self.error, os.strerror(self.error), *map(str, paths))

    def _path_call(self, name: str) -> Any:
        def call(path: Any, *arguments: Any, dir_fd: int | None = None, **options: Any) -> Any:
            whole = path if dir_fd is None else f"{_path_of(dir_fd)}/{path}"
            if self.hits(name, whole):
                self.strike(whole)
            if dir_fd is not None:
                options["dir_fd"] = dir_fd
            return self.real[name](path, *arguments, **options)

        return call

    def _fsync(self, descriptor: int) -> None:
        if self.hits("fsync", _path_of(descriptor)):
            self.strike()
        self.real["fsync"](descriptor)

    def _open(self, file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if not isinstance(file, str | os.PathLike) or not set(mode) & set("wax+"):
            return self.real["open"](file, mode, *arguments, **options)
        if self.hits("open", file):
            self.strike(file)
        raw = FaultyFile(self, file, mode.replace("b", "").replace("t", ""))
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding="utf-8")


class FaultyFile(io.FileIO):
    """A file whose write may be the chosen operation; half of it is then written."""

    def __init__(self, fault: FileFault, path: Any, mode: str) -> None:
        self.fault = fault
        super().__init__(path, mode)

    def write(self, data: Any) -> int:
        """Write, or half of it."""
        if self.fault.hits("write", self.name):
            super().write(bytes(data)[: len(data) // 2])
            self.fault.strike()
        return super().write(data)


def install(folder: Path, log: Path, at: str, error: int | None, flush_seconds: float) -> None:
    """Make this process's runs fail at one operation; their journals are written down often."""
    from stepforge.pipelines.storage import journal

    journal.FLUSH_SECONDS = flush_seconds
    FileFault(folder, log, at, error).install()


def _path_of(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def _steady(path: str) -> str:
    """A path without what differs from run to run: session and journal names, process ids."""
    return re.sub(r"\.[0-9a-f]{12}\.tmp", ".PID.tmp", re.sub(r"[0-9a-f]{32}", "NAME", path))
