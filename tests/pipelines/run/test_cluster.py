"""A local Ray is nobody else's: every port on loopback, and a token that no file holds."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stepforge.pipelines.run.cluster import loads_from_hub
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.errors import first_line

LOOK = """
import json, os, psutil
from stepforge.pipelines.run.cluster import start_ray, stop_ray
os.environ["HF_TOKEN"] = "canary"
start_ray(hub_token=False)
import ray
token = ray.get(ray.remote(lambda: os.environ.get("HF_TOKEN")).remote())
node = ray._private.worker._global_node
session = node.get_session_dir_path()
ports = []
for process in psutil.process_iter(["cmdline", "ppid"]):
    mine = any(session in part for part in process.info["cmdline"] or ())
    if mine or process.pid == os.getpid():
        for found in [process, *process.children(recursive=True)]:
            ports += [c.laddr.ip for c in found.net_connections("inet") if c.status == "LISTEN"]
print(json.dumps({"ports": ports, "mode": os.environ["RAY_AUTH_MODE"], "address": node.gcs_address,
                  "token": os.environ["RAY_AUTH_TOKEN"], "hub": [os.environ["HF_TOKEN"], token],
                  "folder": session.rsplit("/", 2)[0], "folder_mode": os.stat(session.rsplit("/", 2)[0]).st_mode}))
{then}
stop_ray()
"""

INTRUDE = """
import subprocess, sys
outsider = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH_")}
code = f"import ray; ray.init('{node.gcs_address}', logging_level=50); print('INSIDE')"
tried = subprocess.run([sys.executable, "-c", code], env=outsider | {"RAY_AUTH_MODE": "disabled"}, text=True,
                       capture_output=True, timeout=120)
print(json.dumps({"inside": "INSIDE" in tried.stdout, "refused": "InvalidAuthToken" in tried.stdout + tried.stderr}))
"""


BEREAVE = """
import signal, subprocess, time

@ray.remote
class Parent:
    def child(self):
        self.process = subprocess.Popen(["sleep", "600"])
        return os.getpid(), self.process.pid

parent = Parent.remote()
worker, child = ray.get(parent.child.remote())
alive = psutil.pid_exists(child)
os.kill(worker, signal.SIGKILL)
until = time.monotonic() + 60
while time.monotonic() < until and psutil.pid_exists(child) and psutil.Process(child).status() != "zombie":
    time.sleep(0.2)
outlived = psutil.pid_exists(child) and psutil.Process(child).status() != "zombie"
print(json.dumps({"alive": alive, "outlived": outlived}))
"""


def looked(then: str = "") -> list[dict[str, Any]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_A")}
    code = LOOK.replace("{then}", then)
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=240, env=environment, check=False
    )
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def test_a_local_ray_is_closed_to_others() -> None:
    state, intruder = looked(INTRUDE)
    assert len(state["ports"]) >= 4
    assert {ip.removeprefix("::ffff:") for ip in state["ports"]} <= {"127.0.0.1", "::1"}
    assert state["mode"] == "token"
    assert len(state["token"]) == 64
    assert state["hub"] == ["canary", None], "workers that load nothing from the Hub have no token"
    assert state["folder_mode"] & 0o777 == 0o700
    assert not Path(state["folder"]).exists()
    assert intruder == {"inside": False, "refused": True}


@pytest.mark.slow
def test_what_a_worker_started_does_not_outlive_it() -> None:
    _, bereaved = looked(BEREAVE)
    assert bereaved == {"alive": True, "outlived": False}


def test_an_error_without_words_is_told_by_its_class() -> None:
    assert [first_line(RuntimeError(text)) for text in ("", "a\nb")] == ["RuntimeError", "a"]


EMBEDDED, HERE = {"kind": "vllm", "model": "embedded"}, {"kind": "transformers", "model": "."}
PATH = {"kind": "problem_set", "path": "p.jsonl"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"engine": EMBEDDED}, False),
        ({"engine": HERE}, False),
        ({"engine": {"kind": "server", "model": "org/name"}}, False),
        ({"engine": {"kind": "vllm", "model": "org/name"}}, True),
        ({"engine": {"kind": "server", "tokenizer": "org/name"}}, True),
        ({"engine": EMBEDDED, "judge": {"kind": "vllm", "model": "org/name"}}, True),
        ({"engine": EMBEDDED, "generate": [{"kind": "problem_set", "hub": "org/name"}]}, True),
    ],
)
def test_workers_get_the_hub_token_only_where_something_is_loaded_from_there(
    settings: dict[str, Any], expected: bool
) -> None:
    run = RunFile.model_validate({"problems": 0, "generate": [PATH], "label": [{"kind": "judge"}], **settings})
    assert loads_from_hub(run) == expected
