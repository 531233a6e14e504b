"""What this kernel offers to confine a process: Landlock, seccomp, namespaces. Called by the process itself.

The file barrier is Landlock, the network barrier is seccomp (no sockets at all); without both nothing runs. Namespaces
are added where allowed: an empty network, a private process table, and a temporary folder of bounded size. Without them
a confined process may not write files.
"""

import os
import struct
import sys
from typing import NamedTuple

from stepforge.pipelines.sandbox import syscalls
from stepforge.pipelines.sandbox.syscalls import check, libc

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1
_ALL_FILES = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""File rights handled by each version of Landlock."""
_EXECUTE, _READ_FILE, _READ_FOLDER = 1 << 0, 1 << 2, 1 << 3
_WRITABLE = sum(1 << bit for bit in (1, 2, 3, 4, 5, 7, 8, 12, 13, 14))
"""Write, read, list, remove files and folders, make folders, files and links, shorten."""
_OF_A_FILE = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14
_NETWORK, _SCOPES = 0b11, 0b11
_NEW_USER, _NEW_NETWORK, _NEW_PROCESSES, _NEW_MOUNTS, _NEW_IPC = 0x10000000, 0x40000000, 0x20000000, 0x20000, 0x8000000
_NO_SUID_DEVICES_EXECUTION = 2 | 4 | 8
_PRIVATE = 1 << 14 | 1 << 18
"""MS_REC | MS_PRIVATE: our mounts stay private."""
_PDEATHSIG, _NO_NEW_PRIVS = 1, 38


class Barriers(NamedTuple):
    landlock: int
    """Version of its interface; 0 if there is none."""
    seccomp: bool
    namespaces: bool

    @property
    def enough(self) -> bool:
        """Whether code may run: there is a file barrier and a network barrier."""
        return self.landlock > 0 and self.seccomp

    @property
    def remedy(self) -> str:
        if sys.platform != "linux":
            return "run it on Linux 5.13 or later, or in a Linux virtual machine"
        if not self.landlock:
            return (
                "boot a kernel of 5.13 or later with landlock in its lsm= list; in a container, allow its system calls"
            )
        return "allow seccomp filters; they are known for x86_64 and aarch64"


def barriers() -> Barriers:
    """Look at what this kernel offers; changes nothing."""
    if sys.platform != "linux":
        return Barriers(0, seccomp=False, namespaces=False)
    version = max(0, libc.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG))
    return Barriers(version, syscalls.supported(), _namespaces_allowed())


def enter_namespaces() -> None:
    """Give this process a user, network, mount and IPC namespace, and its children their own process table.

    Raises OSError: they are not allowed.
    """
    user, group = os.getuid(), os.getgid()
    check(libc.unshare(_NEW_USER | _NEW_NETWORK | _NEW_MOUNTS | _NEW_IPC | _NEW_PROCESSES), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - runs before every import
            file.write(text)
    check(libc.mount(None, b"/", None, _PRIVATE, None), "mount")


def own_processes() -> None:
    """Give the children of this process their own process table."""
    check(libc.unshare(_NEW_PROCESSES), "unshare")


def private_folder(folder: str, size: int) -> None:
    """Put an empty folder in memory, of at most ``size`` bytes, over an existing one: only this process sees it."""
    check(libc.unshare(_NEW_MOUNTS), "unshare")
    options = f"size={size},nr_inodes=1000,mode=0700".encode()
    check(libc.mount(b"tmpfs", folder.encode(), b"tmpfs", _NO_SUID_DEVICES_EXECUTION, options), "mount")


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    check(libc.prctl(_PDEATHSIG, 9, 0, 0, 0), "prctl")


def ruleset(readable: tuple[str, ...], writable: str | None, *, execute: bool) -> int:
    """Return a file that stands for these paths and what is below them and no others, no network and no signals.

    Raises OSError: the kernel refuses.
    """
    version = libc.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    handled = _ALL_FILES[min(version, 5)]
    fields = [handled, _NETWORK if version >= 4 else 0, _SCOPES if version >= 6 else 0]
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules: int = libc.syscall(_CREATE_RULESET, struct.pack("QQQ", *fields), size, 0)
    check(rules, "landlock")
    rights = _READ_FILE | _READ_FOLDER | (_EXECUTE if execute else 0)
    for path in readable:
        _allow(rules, path, rights & handled)
    if writable is not None:
        _allow(rules, writable, _WRITABLE & handled)
    return rules


def restrict(rules: int) -> None:
    """Leave this process what a ruleset allows, for good. Raises OSError: the kernel refuses."""
    check(libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    check(libc.syscall(_RESTRICT_SELF, rules, 0), "landlock")


def drop_capabilities() -> None:
    header, nothing = struct.pack("Ii", 0x20080522, 0), bytes(24)
    check(libc.capset(header, nothing), "capset")


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        folder = os.path.isdir(path)  # noqa: PTH112
        rule = struct.pack("=Qi", rights if folder else rights & _OF_A_FILE, file)
        check(libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0), f"landlock: {path}")
    finally:
        os.close(file)


def _namespaces_allowed() -> bool:
    """Try it in a child, since entering cannot be undone."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            enter_namespaces()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
