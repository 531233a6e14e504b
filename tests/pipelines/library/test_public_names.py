"""The public interface: every listed name is there, typed, and importing it loads nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import stepforge


def test_every_public_name_is_there_and_told_to_type_checkers() -> None:
    tree = ast.parse(Path(stepforge.__file__).read_text())
    imported = [alias.asname for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(name for name in imported if name) == sorted(stepforge.__all__)
    assert all(getattr(stepforge, name) is not None for name in stepforge.__all__)


def test_importing_loads_no_ray_torch_or_vllm() -> None:
    heavy = {"ray", "torch", "vllm", "transformers", "datasets"}
    code = f"import sys, stepforge; stepforge.Record; print(*sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == ""
