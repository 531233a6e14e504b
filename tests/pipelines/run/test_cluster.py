"""A local Ray is nobody else's: every port on loopback, and a token that no file holds."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from run_files import a_run
from shared_ray import joined

from stepforge.pipelines.run import cluster
from stepforge.pipelines.run.cluster import loads_from_hub
from stepforge.schemas.errors import RunFailed

LOOK = """
import json, os, psutil
from stepforge.pipelines.run.cluster import start_ray, stop_ray
start_ray()
import ray
token = ray.get(ray.remote(lambda: os.environ.get("HF_TOKEN")).remote())
node = ray._private.worker._global_node
session = node.get_session_dir_path()
{then}
stop_ray()
"""

CLOSED = """
import subprocess, sys
mine = [p for p in psutil.process_iter(["cmdline"]) if any(session in part for part in p.info["cmdline"] or ())]
ports = [c.laddr.ip for p in {*mine, *(p.parent() for p in mine)}  # the driver is the parent of some
         for found in [p, *p.children(recursive=True)] for c in found.net_connections("inet") if c.status == "LISTEN"]
folder = session.rsplit("/", 2)[0]
outsider = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH_")}
code = f"import ray; ray.init('{node.gcs_address}', logging_level=50); print('INSIDE')"
tried = subprocess.run([sys.executable, "-c", code], env=outsider | {"RAY_AUTH_MODE": "disabled"}, text=True,
                       capture_output=True, timeout=120)
print(json.dumps({"ports": ports, "token": token, "folder": folder, "mode": os.stat(folder).st_mode & 0o777,
                  "inside": "INSIDE" in tried.stdout, "refused": "InvalidAuthToken" in tried.stdout + tried.stderr}))
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


def looked(then: str) -> dict[str, Any]:
    """Return the view of a driver that joins the local Ray of the tests."""
    code = LOOK.replace("{then}", then)
    command = [sys.executable, "-c", code]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=240, env=os.environ | joined(), check=False
    )
    assert result.returncode == 0, result.stderr
    return dict(json.loads(result.stdout.splitlines()[-1]))


def test_a_local_ray_is_closed_to_others() -> None:
    state = looked(CLOSED)
    assert len(state["ports"]) >= 4
    assert {ip.removeprefix("::ffff:") for ip in state["ports"]} <= {"127.0.0.1", "::1"}
    assert len(joined()["RAY_AUTH_TOKEN"]) == 64
    assert state["token"] is None, "workers that load nothing from the Hub have no token"
    assert state["mode"] == 0o700
    assert (state["inside"], state["refused"]) == (False, True)


def test_the_folder_of_a_local_ray_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(shutdown=lambda: None))
    folder = Path(cluster._made_private_folder())
    assert folder.stat().st_mode & 0o777 == 0o700
    cluster.stop_ray()
    assert not folder.exists()


@pytest.mark.slow
@pytest.mark.parametrize("address, attempts", [(None, 2), ("10.0.0.1:6379", 1)])
def test_a_local_ray_that_comes_up_too_late_is_started_again(
    address: str | None, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    folders = []

    def late(address: str | None, **options: object) -> None:
        folders.append(options.get("_temp_dir"))
        raise Exception("The current node timed out during startup.")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if address is not None:
        monkeypatch.setenv("RAY_ADDRESS", address)
    for name, instead in (("init", late), ("is_initialized", lambda: False), ("shutdown", lambda: None)):
        monkeypatch.setattr(ray, name, instead)
    with pytest.raises(RunFailed, match="Ray did not start"):
        cluster.start_ray()
    assert len(set(folders)) == len(folders) == attempts


def test_what_a_worker_started_does_not_outlive_it() -> None:
    assert looked(BEREAVE) == {"alive": True, "outlived": False}


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
    run = a_run(**{"problems": 0, "generate": [PATH], "label": [{"kind": "judge"}], **settings})
    assert loads_from_hub(run) == expected
