"""The command line as a user runs it, and inside this process where nothing is started."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from shared_ray import joined
from typer.testing import CliRunner

from stepforge.cli import app


def stepforge(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stepforge", *map(str, arguments)]
    if arguments[0] in ("run", "estimate", "bench"):
        options.setdefault("env", os.environ | joined())
    return subprocess.run(command, **{"capture_output": True, "text": True, "timeout": 240, "check": False, **options})


def invoked(*arguments: str | Path) -> tuple[int, str]:
    """Return the exit code and all that was printed; what the command raised goes on."""
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result.exit_code, result.output


def refused(*arguments: str | Path) -> str:
    """Return the one line with which the command line turns its input down."""
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.strip().splitlines()
    assert "Traceback" not in line
    return line


def data_bytes(folder: Path) -> dict[str, bytes]:
    """The run's data set files."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted((folder / "datasets").rglob("*.parquet"))}
