"""One zygote, used by one thread: it starts confined processes, and the kernel reports when they end."""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from stepforge.pipelines.sandbox.barriers import Barriers
from stepforge.pipelines.sandbox.wire import LENGTH, LIMIT
from stepforge.schemas.record import Record

START_SECONDS = 60.0
END_SECONDS = 5.0
KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT", "TZ")
"""The only environment variables that a process of ours gets, so it never sees secrets."""


class NoIsolation(RuntimeError):
    """Nothing can run here; the message says why and what to do."""


def start_module(module: str, pipe: int, *arguments: str, **environment: str) -> "subprocess.Popen[bytes]":
    """Run one of our modules in a process of its own, without secrets; its first argument is its end of a pipe."""
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    path = [str(Path(__file__).parents[3]), *(entry for entry in sys.path if entry)]
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-X", "utf8", "-m", module, str(pipe), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(pipe,),
        env=kept | {"PYTHONPATH": os.pathsep.join(path)} | environment,
        start_new_session=True,  # the driver handles Ctrl-C
    )


class Limits(Record):
    seconds: float = 5.0
    """Wall-clock time, and CPU time of each process."""
    memory: int = 512 << 20
    """Address space of each process, in bytes."""
    disk: int = 16 << 20
    """All files together, in bytes; 0 for no folder to write to."""
    output: int = 64 << 10
    """Kept output, in bytes."""


class Locked(NamedTuple):
    pid: int
    """In the zygote's process table."""
    handle: int
    """Its pidfd."""


class Heard(NamedTuple):
    """What came back before the process ended or time ran out."""

    answer: Mapping[str, object] | None
    output: bytes
    in_time: bool


class Zygote:
    """Starts on first use; after a fault it is discarded and replaced."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self.barriers = Barriers(0, seccomp=False, namespaces=False)

    def start(
        self, work: dict[str, dict[str, socket.socket]], limits: Limits, reads: tuple[str, ...], *, own_program: bool
    ) -> list[Locked]:
        """Start a confined process for each kind of work, with these files, which are closed here.

        Raises NoIsolation: this machine has no barriers; OSError: the zygote is gone.
        """
        control = self._control or self._begin()
        asked = {
            "start": [(name, list(files)) for name, files in work.items()],
            "own_program": own_program,
            "reads": reads,
            "memory": limits.memory,
            "disk": limits.disk,
            "processor": int(limits.seconds) + 2,
        }
        passed = [file for files in work.values() for file in files.values()]
        socket.send_fds(control, [json.dumps(asked).encode()], [file.fileno() for file in passed])
        message, handles, _, _ = socket.recv_fds(control, 4096, len(work))
        if len(handles) != len(work):
            raise ConnectionResetError("the process that starts others is gone")
        for file in passed:
            file.close()
        return [Locked(*one) for one in zip(json.loads(message), handles, strict=True)]

    def end(self, locked: list[Locked]) -> None:
        """Kill processes; the zygote reaps them before it starts others."""
        for one in locked:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(one.handle, signal.SIGKILL)
            os.close(one.handle)
        if self._control is not None:
            self._control.send(json.dumps({"reap": [one.pid for one in locked]}).encode())

    def close(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_SECONDS)  # it ends when its socket does
            self._process.kill()
            self._process.wait()
        self._control = self._process = None

    def _begin(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        folder = tempfile.mkdtemp(prefix="stepforge-sandbox-")  # it removes that when it ends
        with theirs:
            module = "stepforge.pipelines.sandbox.zygote"
            self._process = start_module(module, theirs.fileno(), folder, PYTHONDONTWRITEBYTECODE="1", TZ="UTC")
        ours.settimeout(START_SECONDS)
        said = b""
        with suppress(OSError):
            said = ours.recv(4096)
        ours.settimeout(None)
        self._control = ours
        if not said:
            self.close()
            raise NoIsolation("the process that starts confined ones does not start; try `stepforge doctor`")
        self.barriers = Barriers(**json.loads(said))
        if not self.barriers.enough:
            self.close()
            raise NoIsolation(f"code is not run without isolation: {self.barriers.remedy}")
        return ours


def listen(control: socket.socket, output: int | None, deadline: float, most: int) -> Heard:
    """Wait for one message from a confined process, and collect its output, up to ``most`` bytes of it."""
    frame, written = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        if output is not None:
            selector.register(output, selectors.EVENT_READ)
        while selector.get_map() and len(written) <= most:
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                return Heard(None, bytes(written), in_time=False)
            for key, _ in ready:
                part = _part(key.fd)
                (frame if key.fileobj is control else written).extend(part)
                if not part or (key.fileobj is control and _whole(frame)):
                    selector.unregister(key.fileobj)
    return Heard(_message(frame), bytes(written[:most]), in_time=True)


def _part(file: int) -> bytes:
    try:
        return os.read(file, 1 << 16)
    except ConnectionResetError:
        return b""


def _whole(frame: bytearray) -> bool:
    return len(frame) >= LENGTH.size and len(frame) >= LENGTH.size + min(LIMIT, *LENGTH.unpack_from(frame))


def _message(frame: bytearray) -> Mapping[str, object] | None:
    if not _whole(frame):
        return None
    (length,) = LENGTH.unpack_from(frame)
    try:  # anything after the first message belongs to whoever waited for its sender
        message = json.loads(frame[LENGTH.size : LENGTH.size + length])
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None
