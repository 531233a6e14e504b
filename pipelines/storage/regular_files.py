"""Files of a run folder that may come from someone else: no links are followed, and only plain files are opened.

A link could make us read or overwrite files elsewhere; a named pipe could make us wait forever.
"""

import errno
import os
import stat
from pathlib import Path

from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import BadInput

SMALL_FILE = 64 << 20
"""Bytes of the largest small file (settings, plan, report, card) that is read."""
UNTIL_REGULAR = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Flags with which opening neither follows a link nor waits for the other end of a pipe."""


def check_tree(folder: AnyPath) -> None:
    """Reject a local folder with anything but plain files and folders. The folder itself may be a link.

    Raises:
        BadInput: there is a link, pipe, socket or device; the line names it.
        OSError: a folder in it cannot be read.
    """
    if not isinstance(folder, Path) or not folder.exists():
        return
    pending = [str(folder)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif not entry.is_file(follow_symlinks=False):
                    kind = _kind(entry.stat(follow_symlinks=False).st_mode)
                    raise BadInput(f"{entry.path}: {kind} inside a run folder; nothing was done, move it away")


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """Return a descriptor of a plain file. Raises OSError: it cannot be opened, or is a link, a pipe or a device."""
    try:
        descriptor = os.open(path, flags | UNTIL_REGULAR, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "a symbolic link, which is not followed", str(path)) from None
        raise
    found = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(found):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"{_kind(found)}, not a file", str(path))
    return descriptor


def read_small(path: AnyPath, most: int = SMALL_FILE) -> bytes:
    if not isinstance(path, Path):
        if path.stat().st_size > most:
            raise _too_large(path, most)
        return path.read_bytes()
    with os.fdopen(open_regular(path), "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise _too_large(path, most)
    return content


def _too_large(path: AnyPath, most: int) -> OSError:
    limit = f"{most >> 20} MiB" if most >= 1 << 20 else f"{most >> 10} KiB"
    return OSError(errno.EFBIG, f"larger than {limit}, the limit for this file", str(path))


def _kind(mode: int) -> str:
    kinds = {stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a named pipe", stat.S_IFDIR: "a folder"}
    return kinds.get(stat.S_IFMT(mode), "a socket" if stat.S_ISSOCK(mode) else "a device")
