"""One Ray for all runs that a test process starts: starting its own costs a small run more than all its work."""

import atexit
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

CODE = """
import os, sys
from stepforge.pipelines.run.cluster import start_ray, stop_ray
start_ray(hub_token=False)
import ray
print(ray.get_runtime_context().gcs_address, os.environ["RAY_AUTH_TOKEN"], os.environ["HF_TOKEN"], flush=True)
sys.stdin.read()
stop_ray()
"""


EXAMPLES = Path(__file__).parents[1] / "examples"
OWN_PARTS = os.pathsep.join(map(str, (EXAMPLES.parent, EXAMPLES / "own_labeler", EXAMPLES / "own_parts")))
"""What a run with parts of a user's own needs on its path, and so do the nodes of the Ray that it joins."""
CANARY = "hub-token-of-the-driver"


@cache
def joined() -> dict[str, str]:
    """Start it, and return the environment of a run that joins it. It ends with this process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_A")}
    process = subprocess.Popen(
        [sys.executable, "-c", CODE],
        env=environment | {"HF_TOKEN": CANARY, "PYTHONPATH": OWN_PARTS},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    address, token, hub_token = process.stdout.readline().split()
    assert hub_token == CANARY
    atexit.register(process.wait, 30)
    atexit.register(process.stdin.close)
    on_loopback = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    return {"RAY_ADDRESS": address, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, **on_loopback}
