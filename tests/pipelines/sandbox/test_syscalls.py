"""The filter of system calls, read instruction by instruction as the kernel would."""

import socket
import struct
import time

import pytest

from stepforge.pipelines.sandbox import syscalls
from stepforge.pipelines.sandbox.process import listen

ALLOW, DENY, NO_SUCH, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
X86_64, X86 = 0xC000003E, 0x40000003
FCNTL, PRLIMIT, CLONE3 = 72, 302, 435


def decided(program: bytes, number: int, args: tuple[int, ...] = (), machine: int = X86_64) -> int:
    """Return a filter's decision on a system call."""
    data = struct.pack("<IIQ6Q", number, machine, 0, *args, *(0,) * (6 - len(args)))
    steps = list(struct.iter_unpack("HBBI", program))
    at = value = 0
    while True:
        code, yes, no, operand = steps[at]
        at += 1
        if code == 0x20:
            (value,) = struct.unpack_from("<I", data, operand)
        elif code == 0x06:
            return int(operand)
        else:
            holds = {0x15: value == operand, 0x35: value >= operand, 0x25: value > operand}[code]
            at += yes if holds else no


@pytest.fixture(params=[False, True], ids=["program", "own program"])
def rules(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, set[int]]:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    syscalls.program.cache_clear()
    listed = {*syscalls._numbers(syscalls._TABLE)}
    listed |= {*syscalls._numbers(syscalls._OWN_PROGRAMS)} if request.param else set()
    return syscalls.program(own_program=request.param), listed


def test_what_is_listed_is_allowed_and_nothing_else(rules: tuple[bytes, set[int]]) -> None:
    program, listed = rules
    for number in set(range(700)) - {FCNTL, PRLIMIT, CLONE3}:
        assert decided(program, number) == (ALLOW if number in listed else DENY), number
    assert decided(program, CLONE3) == NO_SUCH
    assert decided(program, 0, machine=X86) == KILL
    assert decided(program, 0x40000000) == DENY
    assert not listed & {
        41,
        42,
        49,
        101,
        165,
        272,
        321,
        425,
    }  # socket, connect, bind, ptrace, mount, unshare, bpf, uring


def test_limits_may_be_read_and_files_copied(rules: tuple[bytes, set[int]]) -> None:
    program, _ = rules
    assert decided(program, PRLIMIT, (0, 0, 0)) == ALLOW
    assert decided(program, PRLIMIT, (0, 0, 1)) == decided(program, PRLIMIT, (0, 0, 1 << 32)) == DENY
    found = {command for command in range(2000) if decided(program, FCNTL, (0, command)) == ALLOW}
    assert found == {0, 1, 2, 3, 4, 1030}


def test_the_first_of_two_messages_that_arrive_together_counts() -> None:
    frames = b"".join(struct.pack("!I", len(body)) + body for body in (b'{"outcome": "wrong"}', b'{"exit": 0}'))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(frames)
        heard = listen(ours, None, time.monotonic() + 30, 100)
    assert heard.answer == {"outcome": "wrong"}
