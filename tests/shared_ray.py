"""One Ray for all runs that a test process starts: starting its own costs a small run more than all its work."""

import atexit
import subprocess
import sys
from functools import cache

CODE = """
import os, sys
from stepforge.pipelines.run.cluster import start_ray, stop_ray
start_ray()
import ray
print(ray.get_runtime_context().gcs_address, os.environ["RAY_AUTH_TOKEN"], flush=True)
sys.stdin.read()
stop_ray()
"""


@cache
def joined() -> dict[str, str]:
    """Start it, and return the environment of a run that joins it. It ends with this process."""
    process = subprocess.Popen(
        [sys.executable, "-c", CODE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    address, token = process.stdout.readline().split()
    atexit.register(process.wait, 30)
    atexit.register(process.stdin.close)
    on_loopback = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    return {"RAY_ADDRESS": address, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, **on_loopback}
