"""The wheel brings one name, and runs in a clean environment beside distributions whose names our folders once had."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMESAKES = ("filters==1.3.2", "schemas==0.7.1", "generators==2020.4.27", "pipelines==0.0.14")
"""Distributions of the registry, each with a top-level package that is called like one of our folders."""


def run(*command: str | Path, cwd: Path, path: str = "") -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PYTHONPATH": path}
    return subprocess.run(
        [*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, check=True, timeout=280
    )


def test_the_import_name_holds_links_to_the_folders_at_the_top() -> None:
    links = {path.name: path for path in (ROOT / "stepforge").iterdir() if path.is_symlink()}
    assert {"pipelines", "generators", "labelers", "filters", "grading", "schemas", "cli.py"} <= set(links)
    for name, link in links.items():
        assert link.resolve() == (ROOT / name).resolve()
        assert not link.readlink().is_absolute()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        pytest.skip("NOT TESTED: uv is not installed, so no wheel was built")
    folder = tmp_path_factory.mktemp("wheel")
    run(uv, "build", "--out-dir", folder, cwd=ROOT)  # the wheel is built from the source distribution
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path) -> Path:
    """A clean environment with the wheel and its namesakes in it; the folder of its commands."""
    folder = wheel.parent / "venv"
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    run(uv, "venv", "-p", sys.executable, folder, cwd=wheel.parent)
    run(uv, "pip", "install", "-p", folder, wheel, cwd=wheel.parent)
    run(uv, "pip", "install", "-p", folder, "--no-deps", *NAMESAKES, cwd=wheel.parent)
    return folder / "bin"


@pytest.mark.slow
def test_the_wheel_brings_one_name(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"stepforge"}
    assert "stepforge/cli.py" in names
    assert "stepforge/pipelines/embedded_policy/weights/model.safetensors" in names
    for name in ("pages/problems.html", "static/viewer.js", "static/katex/LICENSE", "static/katex/katex.min.js"):
        assert f"stepforge/pipelines/viewer/{name}" in names
    assert "stepforge/pipelines/bench/labelers.toml" in names
    for name in ("generators/wording/questions.txt", "generators/wording/plain.txt", "py.typed"):
        assert f"stepforge/{name}" in names
    assert {f"stepforge/pipelines/exports/taskset/{name}.txt" for name in ("module", "pyproject")} <= set(names)


@pytest.mark.slow
def test_a_run_passes_beside_namesakes_and_a_foreign_folder(environment: Path, tmp_path: Path) -> None:
    for name in ("schemas", "filters"):
        (tmp_path / "foreign" / name).mkdir(parents=True)
        (tmp_path / "foreign" / name / "__init__.py").write_text("raise ImportError('somebody else's')\n")
    shutil.copy(ROOT / "configs" / "dry_run.toml", tmp_path)
    result = run(
        environment / "stepforge", "run", "dry_run.toml", "--out", "out", "--json",
        cwd=tmp_path, path=str(tmp_path / "foreign"),
    )  # fmt: skip
    assert json.loads(result.stdout)["stages"]["curate"]["rows_out"] > 0


@pytest.mark.slow
def test_the_bench_finds_its_settings_in_the_wheel(environment: Path, tmp_path: Path) -> None:
    result = run(environment / "stepforge", "bench", "labelers", "--smoke", "--json", cwd=tmp_path)
    assert json.loads(result.stdout)["rows"]
