"""Environments of their own for the libraries that read the exports; ``make consumers`` makes them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
ENVIRONMENTS = Path(os.environ.get("STEPFORGE_CONSUMERS", REPOSITORY / ".consumers"))
WEIGHTS = REPOSITORY / "pipelines" / "embedded_policy" / "weights"
PATIENCE = 600


def python_of(environment: str, capsys: pytest.CaptureFixture[str]) -> Path:
    python = ENVIRONMENTS / environment / "bin" / "python"
    if not python.exists():
        with capsys.disabled():
            sys.stderr.write(f"\nNOT RUN: no {environment} environment in {ENVIRONMENTS}; `make consumers` makes it\n")
        pytest.skip("no consumer environments; `make consumers` makes them")
    return python


def run_program(python: Path, program: str, place: Path) -> str:
    """Run a program in an environment, away from the repository, and return what it printed."""
    (place / "program.py").write_text(program)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    done = subprocess.run(
        [python, "program.py"],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
