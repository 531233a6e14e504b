"""The scripts of deploy/ carry the dry run: submit.sh on a job server, the Slurm script beside a stand-in for srun."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from namespaces import alone, may_be_alone

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PORTS = {
    "--port": 6479,
    "--dashboard-port": 8365,
    "--dashboard-agent-listen-port": 8366,
    "--ray-client-server-port": 8367,
}
HEED_SIGINT = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])"
)
"""Slurm starts a step afresh; a stand-in in the background of a shell has SIGINT ignored and would hand that on."""
CANARY = "canary-of-the-hub"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not may_be_alone(), reason="NOT TESTED: no namespaces here, and `ray stop` would end other Rays"
    ),
]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: Ray's sockets lie below it, and their paths must stay under 108 characters."""
    made = Path(tempfile.mkdtemp(prefix="sf-"))
    yield made
    shutil.rmtree(made)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return an environment with the tree first on the path, a home of its own and time for a busy machine."""
    (folder / "bin").mkdir(exist_ok=True)
    program = folder / "bin" / "stepforge"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m cli "$@"\n')
    program.chmod(0o755)
    known = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {
        **known,
        "PATH": f"{folder / 'bin'}{os.pathsep}{BIN}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_raylet_start_wait_time_s": "180",
        **more,
    }


def stand_in(folder: Path, name: str, text: str) -> None:
    program = folder / "bin" / name
    program.write_text(f"#!/usr/bin/env bash\n{text}\n")
    program.chmod(0o755)


def rows_out(out: Path) -> int:
    return int(json.loads((out / "report.json").read_text())["stages"]["curate"]["rows_out"])


JOBS = """
set -u
ray start --head --node-ip-address=127.0.0.1 --dashboard-host=127.0.0.1 {ports} --num-cpus=2 --temp-dir="$TMPDIR/ray" \
  --disable-usage-stats >"$TMPDIR/start.log" 2>&1 || {{ cat "$TMPDIR/start.log"; exit 9; }}
submit={root}/deploy/submit.sh
step() {{ local name=$1; shift; "$@" >"$TMPDIR/$name.out" 2>&1; echo "$name $?"; }}
RAY_AUTH_TOKEN_PATH=/etc/hostname step wrong_token $submit {root}/configs/dry_run.toml "$TMPDIR/out"
step first $submit --no-wait {root}/configs/dry_run.toml "$TMPDIR/out" --quiet
step again $submit --no-wait {root}/configs/dry_run.toml "$TMPDIR/out" --quiet
step followed $submit {root}/configs/dry_run.toml "$TMPDIR/out" --quiet
step done $submit {root}/configs/dry_run.toml "$TMPDIR/out" --quiet
echo 'problems = "many"' >"$TMPDIR/bad.toml"
step bad $submit "$TMPDIR/bad.toml" "$TMPDIR/bad"
step long $submit --no-wait {root}/configs/dry_run.toml "$TMPDIR/long" --set problems=3000
until [[ -e $TMPDIR/long/plan.json ]]; do sleep 1; done
sleep 5
id=$(grep -o 'stepforge-long-[0-9a-f]*' "$TMPDIR/long.out" | head -n 1)
step stop ray job stop "$id"
step stopped_logs ray job logs "$id"
step goes_on $submit --no-wait {root}/configs/dry_run.toml "$TMPDIR/long" --set problems=3000
step jobs python -c 'import sys, urllib.request as u
request = u.Request(sys.argv[1], headers=dict(Authorization="Bearer " + open(sys.argv[2]).read()))
print(u.urlopen(request).read().decode())' "$RAY_ADDRESS/api/jobs/" "$RAY_AUTH_TOKEN_PATH"
"""


@pytest.mark.skipif(find_spec("opencensus") is None, reason="NOT TESTED: the job server needs stepforge[cluster]")
def test_submitting_a_run_to_a_job_server(folder: Path) -> None:
    token = folder / "token"
    token.write_text("5e" * 16)
    ports = " ".join(f"{option}={port}" for option, port in PORTS.items())
    known = environment(
        folder,
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN_PATH=str(token),
        RAY_ADDRESS=f"http://127.0.0.1:{PORTS['--dashboard-port']}",
        HF_TOKEN=CANARY,
    )
    script = JOBS.format(root=ROOT, ports=ports)
    result = subprocess.run(
        alone("bash", "-c", script), env=known, capture_output=True, text=True, timeout=800, check=False
    )
    codes = dict(line.split() for line in result.stdout.splitlines())
    said = {name: (folder / f"{name}.out").read_text() for name in codes}
    assert codes == {
        "wrong_token": "1", "first": "0", "again": "0", "followed": "0", "done": "0", "bad": "1",
        "long": "0", "stop": "0", "stopped_logs": "0", "goes_on": "0", "jobs": "0",
    }, result.stdout + result.stderr + json.dumps(said)  # fmt: skip
    assert "Invalid authentication token" in said["wrong_token"]
    assert len(said["wrong_token"].splitlines()) == 1
    assert "new" in said["first"]
    assert "under way" in said["again"]
    assert "succeeded" in said["done"]
    assert "problems" in said["bad"]
    assert "finished work is kept" in said["stopped_logs"], "a stop is a Ctrl-C"
    assert "was stopped" in said["goes_on"]
    assert rows_out(folder / "out") > 0
    states = sorted(job["status"] for job in json.loads(said["jobs"]))
    assert states in (["FAILED", "RUNNING", "SUCCEEDED"], ["FAILED", "PENDING", "SUCCEEDED"])
    assert CANARY not in said["jobs"]
    assert token.read_text() not in said["jobs"]


@contextmanager
def slurm_job(folder: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """Start the Slurm script as Slurm would on one node, with a stand-in for its programs."""
    known = environment(folder, SLURM_JOB_ID="7", SLURM_JOB_NUM_NODES="1", SLURM_CPUS_ON_NODE="2")
    stand_in(folder, "srun", f"exec {sys.executable} -c '{HEED_SIGINT}' \"$@\"")
    stand_in(folder, "getent", "echo 127.0.0.1 STREAM")
    stand_in(folder, "scontrol", f'echo "$@" >>{folder}/scontrol.calls')
    script, run_file = ROOT / "deploy" / "slurm" / "stepforge.sbatch", ROOT / "configs" / "dry_run.toml"
    command = alone("bash", str(script), str(run_file), str(folder / "out"), *more)
    with subprocess.Popen(command, env=known, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as job:
        try:
            yield job
        finally:
            job.kill()


def test_the_slurm_script_carries_a_run(folder: Path) -> None:
    with slurm_job(folder, "--quiet") as job:
        said, _ = job.communicate(timeout=800)
    assert job.returncode == 0, said
    assert rows_out(folder / "out") > 0
    assert not list((folder / ".stepforge").iterdir()), "the token is gone"
    assert not (folder / "scontrol.calls").exists()


def test_the_slurm_script_ends_a_run_cleanly_at_the_limit_and_requeues_it(folder: Path) -> None:
    with slurm_job(folder, "--set", "problems=3000") as job:
        until = time.monotonic() + 400
        while not (folder / "out" / "plan.json").exists() and job.poll() is None and time.monotonic() < until:
            time.sleep(1)
        assert (folder / ".stepforge" / "slurm-7" / "token").stat().st_mode & 0o777 == 0o600
        time.sleep(5)
        os.kill(batch_shell(job.pid), signal.SIGINT)
        said, _ = job.communicate(timeout=400)
    assert job.returncode == 130, said
    assert "finished work is kept" in said
    assert (folder / "scontrol.calls").read_text() == "requeue 7\n"
    assert not list((folder / ".stepforge").iterdir()), "the token is gone"


def batch_shell(unshare: int) -> int:
    """Return the process that `unshare` started: the script's own shell."""
    return int(Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split()[0])


def test_the_slurm_script_refuses_loopback_between_nodes(folder: Path) -> None:
    known = environment(folder, SLURM_JOB_ID="7", SLURM_JOB_NUM_NODES="2", SLURM_CPUS_ON_NODE="2")
    stand_in(folder, "getent", "echo 127.0.0.1 STREAM")
    script = ROOT / "deploy" / "slurm" / "stepforge.sbatch"
    command = ["bash", str(script), str(ROOT / "configs" / "dry_run.toml"), str(folder / "out")]
    result = subprocess.run(command, env=known, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert "127.0.0.1 is loopback" in result.stderr
    assert not (folder / "out").exists()
