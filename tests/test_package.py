"""A wheel built from the tree installs and runs in a clean environment, away from the tree."""

import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, check=True, timeout=280)


def test_version_and_packages_are_declared_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    assert packages == ["cli.py", "pipelines", "generators", "labelers", "filters", "schemas"]
    assert all((ROOT / package).exists() for package in packages)


@pytest.mark.slow
def test_a_wheel_runs_in_a_clean_environment(tmp_path: Path) -> None:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        pytest.skip("NOT TESTED: uv is not installed, so no wheel was built")
    run(uv, "build", "--wheel", "--out-dir", tmp_path, cwd=ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "cli.py" in names
    assert "pipelines/embedded_policy/weights/model.safetensors" in names
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in names)
    run(uv, "venv", "-p", sys.executable, tmp_path / "venv", cwd=tmp_path)
    run(uv, "pip", "install", "-p", tmp_path / "venv", wheel, cwd=tmp_path)
    stepforge = tmp_path / "venv" / "bin" / "stepforge"
    shutil.copy(ROOT / "configs" / "dry_run.toml", tmp_path)
    result = run(stepforge, "run", "dry_run.toml", "--out", "out", "--json", cwd=tmp_path)
    assert json.loads(result.stdout)["stages"]["curate"]["rows_out"] > 0
