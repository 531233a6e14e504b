"""A run on a Ray cluster of two nodes that loses one of them: it finishes, with the bytes of a run on one machine."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import data_bytes
from run_files import write_run_file

from stepforge.pipelines.storage.layout import Layout

CLUSTER = """
import os, sys
os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="t" * 64, RAY_USAGE_STATS_ENABLED="0")
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 1})
second = cluster.add_node(num_cpus=1, num_gpus=1)
cluster.wait_for_nodes()
print(cluster.address, flush=True)
for line in sys.stdin:
    if line == "lose a node\\n":
        cluster.remove_node(second, allow_graceful=False)
        print("lost", flush=True)
    else:
        break
cluster.shutdown()
"""


@pytest.mark.slow
def test_a_run_outlives_the_loss_of_a_node(tmp_path: Path, tell: Callable[[str], None]) -> None:
    folder, alone = tmp_path / "cluster", tmp_path / "alone"
    run_file = write_run_file(
        tmp_path,
        seed=4,
        problems=60,
        engine={"latency_ms": 150},
        workers={"engine": 2, "gpus_per_engine": 1, "shards_in_flight": 2, "requests_in_flight": 16},
        vet=[{"kind": "duplicates"}],
        export=[{"kind": "stepwise"}],
    )
    cluster = subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert cluster.stdin is not None
    assert cluster.stdout is not None
    try:
        address = cluster.stdout.readline().strip()
        joined = os.environ | {"RAY_ADDRESS": address, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "t" * 64}
        command = [sys.executable, "-m", "stepforge", "run", str(run_file), "--out", str(folder), "--json", "--quiet"]
        driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=joined)
        until = time.monotonic() + 240
        while len(Layout(folder).shards("label")) < 2 and driver.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        assert driver.poll() is None, driver.communicate()[1]
        cluster.stdin.write("lose a node\n")
        cluster.stdin.flush()
        assert cluster.stdout.readline() == "lost\n"
        left = 12 - len(Layout(folder).shards("label"))
        assert left > 2
        out, err = driver.communicate(timeout=280)
        assert driver.returncode == 0, err
        tell(f"a node of two lost with {left} of 12 shards to label; finished on the other")
    finally:
        cluster.stdin.close()
        cluster.stdout.close()
        cluster.wait(timeout=60)
    local = ["run", str(run_file), "--out", str(alone), "--json", "--quiet", "--set", "engine.latency_ms=0"]
    settings = ["--set", "workers.engine=1", "--set", "workers.gpus_per_engine=0"]
    same = subprocess.run(
        [sys.executable, "-m", "stepforge", *local, *settings], capture_output=True, text=True, timeout=240
    )
    assert same.returncode == 0, same.stderr
    rows = {name: json.loads(text)["stages"]["label"]["rows_out"] for name, text in (("a", out), ("b", same.stdout))}
    assert rows["a"] == rows["b"]
    assert data_bytes(folder) == data_bytes(alone)
