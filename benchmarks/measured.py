"""Where figures are kept, and what they were measured on."""

import json
import os
import platform
from pathlib import Path

from stepforge.schemas.interval import wilson

RESULTS = Path(__file__).parent / "results"


def machine() -> str:
    cpu = platform.processor() or platform.machine()
    return f"{cpu}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"


def with_interval(part: int, whole: int, form: str) -> str:
    """Return a share with its 95 % Wilson interval."""
    low, high = wilson(part, whole)
    return f"{part / whole:{form}} ({low:{form}} to {high:{form}})"


def keep(file: str, name: str, result: object) -> None:
    """Add a result to a file of ``results``, or put it in place of its last one."""
    path = RESULTS / file
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | {name: result}, indent=1) + "\n")
