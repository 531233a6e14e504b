"""A process with Python already started: it forks, and each child confines itself before it reads what to run.

It never sees a program, a test or a verdict itself: those go over sockets that it only passes on, so nothing of one
execution is in the next one's memory. It ends when its own socket closes, and all of its children with it.
"""

import gc
import json
import os
import resource
import signal
import socket
import sys
import sysconfig
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import TypedDict

from stepforge.pipelines.sandbox import barriers, syscalls
from stepforge.pipelines.sandbox.inside import CONTROL, LINK, WORK
from stepforge.pipelines.sandbox.wire import Gone, send

_PRELOADED = (
    "array base64 bisect cmath collections copy dataclasses datetime decimal enum fractions functools hashlib heapq "
    "itertools json math operator queue random re statistics string struct textwrap time typing "
    "unicodedata zlib encodings.idna"
)
_STANDARD = sysconfig.get_path("stdlib")  # slow: done before any fork
_LIBRARY = (_STANDARD, *(path for path in sys.path if path.endswith("lib-dynload")))
_DESCRIPTORS = 64
_PLACED, _RULES = 100, 200
"""File descriptor numbers in transit, above all that a zygote has open."""
_INSTALLED = tuple("/usr/lib /lib /usr/local/lib /usr/lib64 /lib64 /usr/bin /bin /usr/local/bin /usr/share".split())
_DEVICES = ("/dev/null", "/dev/urandom", "/dev/zero")


class Asked(TypedDict):
    start: list[tuple[str, list[str]]]
    """Kinds of work, each with the names of the files that it holds."""
    own_program: bool
    reads: list[str]
    memory: int
    disk: int
    processor: int


def serve(control: socket.socket, folder: str, *, namespaces: bool) -> None:
    for name in _PRELOADED.split():
        import_module(name)
    for own_program in (False, True):
        syscalls.program(own_program=own_program)
    _without_folder()
    gc.freeze()
    null = os.open("/dev/null", os.O_RDWR)
    while True:
        message, passed, _, _ = socket.recv_fds(control, 65536, 8)
        if not message:
            return
        asked = json.loads(message)
        if "reap" in asked:
            for child in asked["reap"]:
                with suppress(ChildProcessError):
                    os.waitpid(child, 0)
            continue
        files, children = iter(passed), []
        for work, names in asked["start"]:
            mine = {name: next(files) for name in names}
            child = os.fork()
            if child == 0:
                _become(work, asked, mine, folder, null, namespaces=namespaces)
            children.append(child)
        handles = [os.pidfd_open(child) for child in children]
        socket.send_fds(control, [json.dumps(children).encode()], handles)
        for file in (*passed, *handles):
            os.close(file)


@cache
def _without_folder() -> int:
    """The ruleset of programs that write nothing, created once."""
    made = barriers.ruleset((*_LIBRARY, *_DEVICES), None, execute=False)
    return os.dup2(made, _RULES, inheritable=False)  # clear of the files being put in place


def _become(work: str, asked: Asked, files: dict[str, int], folder: str, null: int, *, namespaces: bool) -> None:
    """Turn a child into the requested process; never returns."""
    try:
        _place(files, null)
        own = asked["own_program"]
        if own:
            _with_own_processes()
        _lock(asked, folder if namespaces and asked["disk"] else None, own_program=own)
        os.closerange(LINK + 1, 4096)
        WORK[work]()
    except Gone:
        os._exit(0)
    except BaseException:
        os._exit(70)
    os._exit(0)


def _place(files: dict[str, int], null: int) -> None:
    """Put the standard files, the control and the link where they belong."""
    places = (files.get("input", null), files.get("output", null), files.get("output", null))
    wanted = [*places, files.get("control", null), files.get("link", null)]
    high = [os.dup2(file, _PLACED + i) for i, file in enumerate(wanted)]
    for place, file in enumerate(high):
        os.dup2(file, place, inheritable=place < 3)


def _with_own_processes() -> None:
    """Continue as the first process of a new process table: when it ends, the kernel ends all that it started.

    The outer process reports how it ended.
    """
    barriers.own_processes()
    child = os.fork()
    if child == 0:
        barriers.end_with_parent()
        return
    os.closerange(0, CONTROL)
    os.closerange(LINK, 4096)
    send(CONTROL, {"exit": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])})
    os._exit(0)


def _lock(asked: Asked, folder: str | None, *, own_program: bool) -> None:
    """Put up every barrier; after any error nothing runs."""
    barriers.end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if folder is not None:
        barriers.private_folder(folder, asked["disk"])
        os.chdir(folder)
    os.environ.clear()
    os.environ |= {"HOME": folder or "/", "TMPDIR": folder or "/", "LANG": "C.UTF-8"}
    sys.path[:] = _LIBRARY
    if folder is None and not own_program:
        rules = _without_folder()
    else:
        readable = (*_LIBRARY, *_DEVICES, *((*_INSTALLED, *asked["reads"]) if own_program else ()))
        rules = barriers.ruleset(readable, folder, execute=own_program)
    barriers.restrict(rules)
    limits = {resource.RLIMIT_AS: asked["memory"], resource.RLIMIT_CPU: asked["processor"], resource.RLIMIT_CORE: 0}
    limits |= {resource.RLIMIT_FSIZE: asked["disk"], resource.RLIMIT_NOFILE: _DESCRIPTORS}
    for what, most in limits.items():
        hard = resource.getrlimit(what)[1]
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (value, value))
    barriers.drop_capabilities()
    syscalls.install(own_program=own_program)


def main(descriptor: int, folder: str) -> None:
    """Enter the namespaces if allowed, report what there is, and serve; delete the folder at the end."""
    try:
        with suppress(ConnectionError):
            _enter_and_serve(socket.socket(fileno=descriptor), folder)
    finally:
        with suppress(OSError):
            os.rmdir(folder)  # noqa: PTH106 - it is there for a mount alone


def _enter_and_serve(control: socket.socket, folder: str) -> None:
    found = barriers.barriers()
    control.send(json.dumps(found._asdict()).encode())
    if found.enough and not found.namespaces:
        serve(control, folder, namespaces=False)
    elif found.enough:
        barriers.enter_namespaces()
        child = os.fork()
        if child == 0:
            barriers.end_with_parent()
            with suppress(ConnectionError):
                serve(control, folder, namespaces=True)
            os._exit(0)
        control.close()
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
