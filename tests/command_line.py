"""The command line as a user runs it, and inside this process where nothing is started."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from stepforge.cli import app


def stepforge(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stepforge", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, **options)


def invoked(*arguments: str | Path) -> tuple[int, str]:
    """Return the exit code and all that was printed; what the command raised goes on."""
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result.exit_code, result.output


def data_bytes(folder: Path) -> dict[str, bytes]:
    """The run's data set files."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted((folder / "datasets").rglob("*.parquet"))}
