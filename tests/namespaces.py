"""Processes that see nobody but themselves: `ray stop`, which ends every Ray it sees, then harms no other."""

import subprocess
import sys

ALONE = ("unshare", "--pid", "--net", "--mount", "--fork", "--mount-proc", "--kill-child")
_LOOPBACK_UP = """
import fcntl, os, socket, struct, sys
with socket.socket() as any_socket:  # SIOCSIFFLAGS: IFF_UP | IFF_RUNNING
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x41))
os.execvp(sys.argv[1], sys.argv[1:])
"""


def alone(*command: str) -> list[str]:
    """Return the command inside process, network and mount namespaces of its own, which end with it; loopback is up."""
    return [*ALONE, sys.executable, "-c", _LOOPBACK_UP, *command]


def may_be_alone() -> bool:
    """Whether this machine lets us make namespaces."""
    try:
        return subprocess.run(alone("true"), capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
