"""Kernels that offer less, and processes that are killed: less is allowed then, and nothing is left."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from attacks import ESCAPES

from stepforge.pipelines.sandbox.sandbox import Limits, Sandbox

_WITHOUT = """
import asyncio, ctypes, errno, json, struct, sys
from stepforge.pipelines.sandbox.sandbox import NoIsolation, Sandbox

def forbid(number):
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | errno.EPERM), (0x06, 0, 0, 0x7FFF0000)]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None)
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0

async def main(programs):
    async with Sandbox(1) as sandbox:
        try:
            found = await sandbox.check()
        except NoIsolation as error:
            return {"refused": str(error)}
        return {"barriers": found._asdict(), "values": [(await sandbox.run(p)).value for p in programs]}

forbid(int(sys.argv[1]))
print(json.dumps(asyncio.run(main(json.load(sys.stdin)))))
"""
UNSHARE, LANDLOCK = 272, 444
pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86_64")


def without(system_call: int, programs: list[str]) -> dict[str, object]:
    """Return the result of a sandbox where a system call is forbidden."""
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT, str(system_call)],
        input=json.dumps(programs),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_without_namespaces_nothing_gets_out_and_no_file_is_written() -> None:
    writes = "try:\n    open('x', 'w')\n    found = True\nexcept OSError:\n    found = False\nfound"
    found = without(UNSHARE, [*(attack.program for attack in ESCAPES), writes, "6 * 7"])
    assert found["barriers"]["namespaces"] is False  # type: ignore[index]
    *escaped, written, works = found["values"]  # type: ignore[misc]
    assert set(escaped) == {"False"}
    assert (written, works) == ("False", "42")


def test_without_landlock_nothing_is_run() -> None:
    refused = str(without(LANDLOCK, ["6 * 7"])["refused"])
    assert "not run without isolation" in refused
    assert "landlock" in refused


@pytest.mark.anyio
async def test_a_killed_process_is_replaced() -> None:
    patient = Limits(seconds=30)
    async with Sandbox(1) as sandbox:
        assert (await sandbox.run("1 + 1", limits=patient)).value == "2"
        waiting = asyncio.create_task(sandbox.run("import time\ntime.sleep(0.5)\n3", limits=patient))
        await asyncio.sleep(0.2)
        for process in psutil.Process().children():
            if "sandbox.zygote" in " ".join(process.cmdline()):
                process.kill()
        await waiting
        assert (await sandbox.run("2 + 2", limits=patient)).value == "4"


def test_nothing_outlives_the_process_that_asks(tmp_path: Path) -> None:
    script = (
        "import asyncio\nfrom stepforge.pipelines.sandbox.sandbox import *\n"
        "async def main():\n    sandbox = Sandbox(2)\n    print(await sandbox.check(), flush=True)\n"
        "    await asyncio.gather(*(sandbox.run('while True: pass', limits=Limits(seconds=600)) for _ in range(2)))\n"
        "asyncio.run(main())\n"
    )
    asking = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(tmp_path)}
    )
    assert asking.stdout is not None
    assert "landlock" in asking.stdout.readline()
    time.sleep(0.5)
    started = psutil.Process(asking.pid).children(recursive=True)
    assert started
    asking.send_signal(signal.SIGKILL)
    asking.wait()
    asking.stdout.close()
    _, alive = psutil.wait_procs(started, timeout=60)
    assert alive == []
    assert list(tmp_path.iterdir()) == []
