"""How much memory this process may use."""

import os
from contextlib import suppress
from pathlib import Path

CGROUP = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""What a container is allowed, in versions 2 and 1 of control groups; the first says ``max`` without a limit."""


def memory_bytes() -> int:
    """Return the memory of the machine, or of the container if that is less."""
    least = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in CGROUP:
        with suppress(OSError, ValueError):
            least = min(least, int(limit.read_text(encoding="ascii")))
    return least
