"""Of processes that do not start the reason comes out, and of those that do everything, in its order."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stepforge.pipelines.engines.engine_process import ERROR, reason_from_stderr

FAILS = """
import sys
sys.stderr.write("loading\\n")
try:
    raise MemoryError("no room for the weights: 3 GiB are free")
except MemoryError as error:
    raise RuntimeError("the worker did not start; see above") from error
"""
GOES_ON = """
import sys
sys.stderr.write("one\\nTriton is installed, but doesn't include CPU backend. Disabling Triton.\\ntwo\\n")
print("started", flush=True)
sys.stdin.readline()
sys.stderr.write("three\\n")
"""


def started(code: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def heard(capfd: pytest.CaptureFixture[str], last: str, before: str = "") -> str:
    """Return what is written up to a certain end, or in ten seconds."""
    deadline = time.monotonic() + 10
    while not before.endswith(last) and time.monotonic() < deadline:
        before += capfd.readouterr().err
        time.sleep(0.01)
    return before


def test_the_first_error_is_the_reason_and_nothing_else_comes_out(capfd: pytest.CaptureFixture[str]) -> None:
    with (
        pytest.raises(RuntimeError, match=r"^no room for the weights: 3 GiB are free$"),
        reason_from_stderr(),
        started(FAILS) as process,
    ):
        process.communicate(timeout=60)
        raise RuntimeError("it did not start")
    assert capfd.readouterr().err == ""
    os.write(2, b"heard again\n")
    assert capfd.readouterr().err == "heard again\n"


def test_a_failure_without_a_reason_is_let_out_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    with (
        pytest.raises(RuntimeError, match="it did not start"),
        reason_from_stderr(),
        started("import os; os.write(2, b'out of luck\\n')") as process,
    ):
        process.communicate(timeout=60)
        raise RuntimeError("it did not start")
    assert capfd.readouterr().err == "out of luck\n"


def test_what_starts_is_heard_late_and_then_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    with reason_from_stderr():
        process = started(GOES_ON)
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        assert capfd.readouterr().err == ""
    with process:
        first = capfd.readouterr().err
        assert "one\ntwo\n".startswith(first), "what is not there yet comes in its turn"
        process.communicate("go on\n", timeout=60)
        assert heard(capfd, "three\n", first) == "one\ntwo\nthree\n"


def test_nothing_is_lost_or_turned_round_while_it_is_let_out(capfd: pytest.CaptureFixture[str]) -> None:
    code = "import os\nfor i in range(20_000): os.write(2, b'%d\\n' % i)\nprint('done', flush=True)"
    with reason_from_stderr():
        process = started(code)
        time.sleep(0.1)
    with process:
        process.communicate(timeout=60)
    assert heard(capfd, "19999\n").split() == [str(i) for i in range(20_000)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ValueError: No memory.", "No memory."),
        ("(EngineCore pid=7) ERROR 11-21 18:44:48 [core.py:1510] ValueError: No memory.", "No memory."),
        ("(Worker pid=7) ERROR 11-21 18:44:48 [x.py:1] torch.OutOfMemoryError: out of memory.", "out of memory."),
        ("huggingface_hub.errors.RepositoryNotFoundError: 404 Client Error", "404 Client Error"),
        ("(EngineCore pid=7) ERROR 11-21 18:44:48 [core.py:1510] EngineCore failed to start.", None),
        ("(EngineCore pid=7) ERROR 11-21 18:44:48 [core.py:1510]     raise ValueError(", None),
        ("    raise ValueError: not the end of a traceback", None),
        ("FutureWarning: it will go", None),
        ("Traceback (most recent call last):", None),
    ],
)
def test_the_last_line_of_a_traceback_is_known(line: str, reason: str | None) -> None:
    found = ERROR.match(line)
    assert (found and found["message"]) == reason


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_descriptors_are_given_back() -> None:
    def opened() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before, deadline = opened(), time.monotonic() + 10
    for _ in range(20):
        with reason_from_stderr(), started("pass") as process:
            process.communicate(timeout=60)
    while opened() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert opened() <= before
