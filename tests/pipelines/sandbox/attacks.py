"""Programs that try to get out or to stay. The last expression of each is True if it got through."""

from typing import NamedTuple


class Attack(NamedTuple):
    """A program; ``harmless`` ones are also run without a barrier, where they must get through."""

    name: str
    program: str
    harmless: bool = False


_TRY = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def through(work):
    try:
        found = work()
    except (OSError, RuntimeError, ValueError, ImportError):
        return False
    return found is None or found is True or (not isinstance(found, bool) and found != -1)
"""


def _tries(name: str, work: str, before: str = "", *, harmless: bool = False) -> Attack:
    return Attack(name, f"{_TRY}{before}\nthrough(lambda: {work})", harmless)


FILES = (
    _tries("read a file", "open('/etc/passwd').read()", harmless=True),
    _tries("read a file by descriptor", "os.open('/etc/hostname', os.O_RDONLY)", harmless=True),
    _tries("list the root", "os.listdir('/')", harmless=True),
    _tries("list the temporary folder", "os.listdir('/tmp')", harmless=True),
    _tries("read the environment of a process", "open('/proc/self/environ').read()", harmless=True),
    _tries("read the processes", "os.listdir('/proc')", harmless=True),
    _tries("read its own memory", "open('/proc/self/mem', 'rb')", harmless=True),
    _tries("write to another's memory", "open('/proc/1/mem', 'wb')"),
    _tries("go up", "os.open('../../../../../etc/passwd', os.O_RDONLY)"),
    _tries("open a folder by descriptor and go up", "os.open('../etc', os.O_RDONLY, dir_fd=os.open('.', os.O_PATH))"),
    _tries("write outside", "open('/tmp/stepforge-escaped', 'w').write('x')"),
    _tries("write into the library", "open(os.__file__, 'a')"),
    _tries("make a folder outside", "os.mkdir('/tmp/stepforge-escaped-folder')"),
    _tries("remove the library", "os.unlink(os.__file__)"),
    _tries("shorten the library", "os.truncate(os.__file__, 0)"),
    _tries("move the library", "os.rename(os.__file__, os.__file__ + '.moved')"),
    _tries("change the mode of a file", "os.chmod('/etc/hostname', 0o777)"),
    _tries("change the owner of a file", "os.chown('/etc/hostname', 1, 1)"),
    _tries("change the times of a file", "os.utime('/etc/hostname', (1, 1))"),
    _tries("set an attribute of a file", "os.setxattr('/etc/hostname', 'user.x', b'x')"),
    _tries("follow a link of its own", "(os.symlink('/etc/passwd', 'here'), open('here').read())"),
    _tries("list through a link of its own", "(os.symlink('/', 'root'), os.listdir('root/etc'))"),
    _tries("link a file in", "(os.link('/etc/passwd', 'hard'), open('hard').read())"),
    _tries("make a device", "os.mknod('device', 0o20666, os.makedev(1, 1))"),
    _tries("make a pipe outside", "os.mkfifo('/tmp/stepforge-escaped-pipe')"),
    _tries("open by handle", "libc.syscall(304, -100, b'x', 0)"),
    _tries("write a module for the next one", "open(sys.path[0] + '/sitecustomize.py', 'w').write('')"),
    _tries("use a file that was left open", "[os.read(fd, 1) for fd in range(4, 200)]"),
    _tries("find a secret", "{'HF_TOKEN', 'PATH', 'STEPFORGE_SECRET'} & set(os.environ) != set()", harmless=True),
)
NETWORK = (
    _tries("open a socket", "socket.socket()", "import socket", harmless=True),
    _tries("open a socket for datagrams", "socket.socket(type=socket.SOCK_DGRAM)", "import socket", harmless=True),
    _tries("open a local socket", "socket.socket(socket.AF_UNIX)", "import socket", harmless=True),
    _tries("ask the kernel", "socket.socket(16, socket.SOCK_RAW)", "import socket", harmless=True),
    _tries("fetch a page", "urllib.request.urlopen('http://127.0.0.1:9', timeout=1)", "import urllib.request"),
    _tries("look up a name", "socket.getaddrinfo('localhost', 80)", "import socket", harmless=True),
    _tries("open a socket without Python", "libc.syscall(41, 2, 1, 0)", harmless=True),
    _tries("open a socket by the other numbers", "libc.syscall(0x40000000 + 41, 2, 1, 0)"),
    _tries("ask the kernel to do it later", "libc.syscall(425, 8, bytes(120))"),
    _tries("send over the control's socket family", "libc.syscall(53, 1, 1, 0, bytes(8))"),
)
PROCESSES = (
    _tries("fork", "os.fork() > 0", harmless=True),
    _tries("fork without Python", "libc.fork() > 0", harmless=True),
    _tries("vfork without Python", "libc.syscall(58)"),
    _tries("clone", "libc.syscall(56, 17, 0, 0, 0, 0)"),
    _tries("clone by the newer call", "libc.syscall(435, bytes(88), 88)"),
    _tries("run a command", "subprocess.run(['/bin/true'])", "import subprocess", harmless=True),
    _tries("run a shell", "os.system('exit 7') >> 8 == 7", harmless=True),
    _tries("become another program", "os.execv('/bin/true', ['true'])"),
    _tries("run from memory", "os.execve(os.memfd_create('x'), ['x'], {})"),
    _tries("start a thread", "threading.Thread(target=print).start()", "import threading", harmless=True),
    _tries("stay as a daemon", "os.setsid()"),
    _tries("use a pool", "multiprocessing.Pool(1)", "import multiprocessing"),
    _tries("signal the parent", "os.kill(os.getppid(), 0)", harmless=True),
    _tries("signal everybody", "os.kill(-1, 0)"),
    _tries("signal the first process", "os.kill(1, 9)"),
    _tries("signal the group", "os.killpg(0, 9)"),
    _tries(
        "signal by a handle", "signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 0)", "import signal", harmless=True
    ),
    _tries("have the kernel signal the parent", "fcntl.fcntl(0, 8, os.getppid())", "import fcntl"),
    _tries("trace the parent", "libc.ptrace(16, os.getppid(), 0, 0)"),
    _tries("read the parent's memory", "libc.process_vm_readv(os.getppid(), bytes(16), 1, bytes(16), 1, 0) >= 0"),
    _tries("outlive the parent", "libc.prctl(1, 0, 0, 0, 0)", harmless=True),
    _tries("push the others aside", "os.setpriority(os.PRIO_PROCESS, 0, -5)"),
    _tries("share memory", "libc.shmget(77, 4096, 0o1600)"),
    _tries("open a message queue", "libc.msgget(78, 0o1600)"),
)
PRIVILEGES = (
    _tries("become root", "os.setuid(0)"),
    _tries("change its groups", "os.setgroups([0])"),
    _tries("leave its namespaces", "libc.unshare(0x10000000)"),
    _tries("enter others", "libc.setns(0, 0)"),
    _tries("mount a file system", "libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)"),
    _tries("unmount one", "libc.umount2(b'.', 2)"),
    _tries("change the root", "os.chroot('.')"),
    _tries("raise its limits", "resource.setrlimit(resource.RLIMIT_CPU, (-1, -1))", "import resource", harmless=True),
    _tries("load a program into the kernel", "libc.syscall(321, 5, bytes(64), 64)"),
    _tries("count events of the kernel", "libc.syscall(298, bytes(128), 0, -1, -1, 0)"),
    _tries("use the kernel's keys", "libc.syscall(250, 0, -3, 1, 0, 0)"),
    _tries("handle its own page faults", "libc.syscall(323, 0)"),
    _tries("rename the machine", "socket.sethostname('x')", "import socket"),
    _tries("set the clock", "time.clock_settime(0, 0)", "import time"),
    _tries("type into the terminal", "fcntl.ioctl(0, 0x5412, b'x')", "import fcntl"),
    _tries("lock itself in elsewhere", "libc.syscall(444, bytes(24), 24, 0)"),
)
ESCAPES = (*FILES, *NETWORK, *PROCESSES, *PRIVILEGES)

BOMBS = {
    "memory": "x = bytearray(1 << 34)",
    "memory by and by": "x = []\nwhile True: x.append(bytearray(1 << 20))",
    "mapped memory": "import mmap\nx = [mmap.mmap(-1, 1 << 28) for _ in range(64)]",
    "a large file": "open('f', 'wb').write(bytes(1 << 26))",
    "a file with a hole": "f = open('f', 'wb')\nf.truncate(1 << 40)",
    "many files": "for i in range(100_000): open(str(i), 'w').write('x')",
    "many folders": "import os\nfor i in range(100_000): os.mkdir(str(i))",
    "all files together": "for i in range(64): open(str(i), 'wb').write(bytes(1 << 20))",
    "open files": "import os\nx = [os.open('/dev/null', 0) for _ in range(100_000)]",
    "pipes": "import os\nx = [os.pipe() for _ in range(100_000)]",
    "output": "while True: print('x' * 10_000)",
    "output past Python": "import os\nwhile True: os.write(1, bytes(10_000))",
    "processes": "import os\nwhile True: os.fork()",
    "threads": "import threading\nwhile True: threading.Thread(target=input).start()",
    "recursion": "def f(n): return f(n + 1)\nf(0)",
    "a deep value": "x = []\nfor _ in range(100_000): x = [x]\nx",
    "a wrong address": "import ctypes\nctypes.string_at(0)",
    "an error without end": "class E(Exception):\n    def __str__(self): return 'x' * (1 << 28)\nraise E",
    "an evil error": "class E(Exception):\n    def __str__(self): raise self\nraise E",
}
"""Programs that take too much; a bound stops each."""
SLOW_BOMBS = {
    "recursion without a limit": "import sys\nsys.setrecursionlimit(1 << 30)\ndef f(n): return [f(n + 1)]\nf(0)",
    "time": "while True: pass",
    "sleep": "import time\ntime.sleep(1000)",
    "time in C": "sum(range(10 ** 12))",
    "a huge number": "x = 9 ** 9 ** 9",
    "a pattern": "import re\nre.match('(a+)+$', 'a' * 64 + 'b')",
    "time, deaf to errors": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
}
