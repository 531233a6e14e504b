"""Which system calls a confined process may make: a seccomp filter, built for this machine's architecture.

Everything that is not listed fails with EPERM: sockets, new processes and threads, signals, mounts, changes of owner,
mode and times. What is listed needs a file or memory that the process already has, or is ruled by Landlock.
"""

import ctypes
import errno
import os
import platform
import struct
from functools import cache

_TABLE = """
read 0 63; write 1 64; open 2 -; close 3 57; stat 4 -; fstat 5 80; lstat 6 -; poll 7 -; lseek 8 62; mmap 9 222;
mprotect 10 226; munmap 11 215; brk 12 214; rt_sigaction 13 134; rt_sigprocmask 14 135; rt_sigreturn 15 139;
pread64 17 67; pwrite64 18 68; readv 19 65; writev 20 66; access 21 -; pipe 22 -; select 23 -; sched_yield 24 124;
mremap 25 216; msync 26 227; madvise 28 233; dup 32 23; dup2 33 -; nanosleep 35 101; getpid 39 172; exit 60 93;
uname 63 160; ftruncate 77 46; getcwd 79 17; rename 82 -; mkdir 83 -; rmdir 84 -; unlink 87 -; symlink 88 -;
readlink 89 -; gettimeofday 96 169; getrlimit 97 -; getrusage 98 165; sysinfo 99 179; times 100 153; getuid 102 174;
getgid 104 176; geteuid 107 175; getegid 108 177; getppid 110 173; sigaltstack 131 132; time 201 -; gettid 186 178;
futex 202 98; sched_getaffinity 204 123; getdents64 217 61; restart_syscall 219 128; clock_gettime 228 113;
clock_getres 229 114; clock_nanosleep 230 115; exit_group 231 94; openat 257 56; mkdirat 258 34; newfstatat 262 79;
unlinkat 263 35; renameat 264 38; symlinkat 266 36; readlinkat 267 78; faccessat 269 48; pselect6 270 72; ppoll 271 73;
set_robust_list 273 99; dup3 292 24; pipe2 293 59; renameat2 316 276; getrandom 318 278; membarrier 324 283;
statx 332 291; rseq 334 293; close_range 436 436; faccessat2 439 439
"""
_OWN_PROGRAMS = """
clone 56 220; fork 57 -; vfork 58 -; execve 59 221; wait4 61 260; waitid 247 95; chdir 80 49; fchdir 81 50;
getpgrp 111 -; setsid 112 157; getpgid 121 155; getsid 124 156; setpgid 109 154; getgroups 115 158; arch_prctl 158 -;
set_tid_address 218 96; epoll_create1 291 20; epoll_ctl 233 21; epoll_wait 232 -; epoll_pwait 281 22; eventfd2 290 19;
socketpair 53 199; umask 95 166; statfs 137 43; fstatfs 138 44; sched_getparam 143 121; sched_getscheduler 145 120;
ioctl 16 29; getresuid 118 148; getresgid 120 150; setitimer 38 103; kill 62 129; tgkill 234 131; prctl 157 167;
fsync 74 82; flock 73 32; fadvise64 221 223; copy_file_range 326 285; sendfile 40 71; mincore 27 232
"""
"""Additional calls for the user's own programs; their processes cannot see any others."""
_FCNTL, _PRLIMIT, _CLONE3 = {"x86_64": 72, "aarch64": 25}, {"x86_64": 302, "aarch64": 261}, 435
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
_KILL, _ALLOW, _ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ABOVE, _RETURN = 0x20, 0x15, 0x35, 0x25, 0x06
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_TAIL = 9
"""Steps after the numbers and before the last one, less one."""
_F_SETFL, _F_DUPFD_CLOEXEC = 4, 1030

libc = ctypes.CDLL(None, use_errno=True)


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def supported() -> bool:
    """Whether the filter is known for this architecture and the kernel supports filters."""
    # Asked for with no filter, a kernel that has them complains about the address.
    known = platform.machine() in _ARCHITECTURES
    return known and libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, None, 0, 0) != 0 and ctypes.get_errno() == errno.EFAULT


def install(*, own_program: bool) -> None:
    """Put the filter on a process that may gain no privileges, for good. Raises OSError: the kernel refuses."""
    code = program(own_program=own_program)
    filter_ = _Filter(len(code) // 8, code)
    check(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(filter_), 0, 0), "seccomp")


def check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno() or errno.EPERM
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _numbers(table: str) -> list[int]:
    column = 1 if platform.machine() == "x86_64" else 2
    entries = (entry.split() for entry in table.split(";") if entry.strip())
    return [int(entry[column]) for entry in entries if entry[column] != "-"]


@cache
def program(*, own_program: bool) -> bytes:
    """Return the filter in the kernel's classic BPF: (code, jump if true, jump if false, operand) each."""
    machine = platform.machine()
    numbers = _numbers(_TABLE) + (_numbers(_OWN_PROGRAMS) if own_program else [])
    deny = _ERRNO | errno.EPERM
    steps = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, deny),
        (_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),  # the C library goes on to clone
    ]
    # Each allowed number jumps to the end; a jump is at most 255 steps, and there are about 130 numbers.
    steps += [(_EQUAL, len(numbers) - i + _TAIL, 0, number) for i, number in enumerate(numbers)]
    steps += [
        (_EQUAL, 0, 4, _PRLIMIT[machine]),  # reading limits is fine; args[2] is the new one, in two halves
        (_LOAD, 0, 0, 32),
        (_EQUAL, 0, 6, 0),
        (_LOAD, 0, 0, 36),
        (_EQUAL, 5, 4, 0),
        (_EQUAL, 0, 3, _FCNTL[machine]),  # neither locks nor owners of signals
        (_LOAD, 0, 0, 24),
        (_EQUAL, 2, 0, _F_DUPFD_CLOEXEC),
        (_ABOVE, 0, 1, _F_SETFL),
        (_RETURN, 0, 0, deny),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)
