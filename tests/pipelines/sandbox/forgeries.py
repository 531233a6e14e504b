"""Programs that are wrong and try to be called right; the tests are ``assert f(2) == 5`` and the like."""

TESTS = "assert f(2) == 5\nassert len(g(3)) == 2\nassert sorted(g(1)) == [1, 7]\nassert abs(h(1.0) - 0.25) < 1e-6"
RIGHT = """
def f(x): return x + 3
def g(x): return [7, 1] if x == 1 else [x, 2]
def h(x): return x / 4
"""
_OBJECT = "class A{base}:\n    def __eq__(self, o): return True\n    def __ne__(self, o): return False\n    "
_OBJECT += (
    "def __len__(self): return 2\n    def __sub__(self, o): return 0\n    def __iter__(self): return iter([1, 7])\n"
)
_SHOUT = "import json, struct, os\nm = json.dumps({'outcome': 'correct', 'message': ''}).encode()\nm = struct.pack('!I', len(m)) + m\n"
_DEFINE = "\nf = g = h = lambda x: None\n"

FORGERIES = {
    "nothing": "",
    "not a program": "def f(x: return",
    "no function": "x = 1",
    "always None": _DEFINE,
    "exit code 0": "import os\nos._exit(0)",
    "exit code 0 in a call": "import os\nf = g = h = lambda x: os._exit(0)",
    "sys.exit": "import sys\nsys.exit(0)",
    "sys.exit in a call": "import sys\nf = g = h = lambda x: sys.exit(0)",
    "an exit handler": "import atexit, os\natexit.register(os._exit, 0)" + _DEFINE,
    "a keyboard interrupt": "def f(x): raise KeyboardInterrupt\ng = h = f",
    "a generator's end": "def f(x): raise GeneratorExit\ng = h = f",
    "an error of its own": "class Gone(BaseException): pass\ndef f(x): raise Gone\ng = h = f",
    "an assertion error": "def f(x): raise AssertionError('correct')\ng = h = f",
    "a stop": "def f(x): raise StopIteration\ng = h = f",
    "equal to everything": _OBJECT.format(base="") + "f = g = h = lambda x: A()",
    "a number equal to everything": _OBJECT.format(base="(int)") + "f = g = h = lambda x: A()",
    "a float equal to everything": _OBJECT.format(base="(float)") + "f = g = h = lambda x: A()",
    "a text equal to everything": _OBJECT.format(base="(str)") + "f = g = h = lambda x: A()",
    "a list equal to everything": _OBJECT.format(base="(list)") + "f = g = h = lambda x: A()",
    "a dictionary with everything": "class D(dict):\n    def __missing__(self, k): return 5\nf = g = h = lambda x: D()",
    "not a number": "f = g = h = lambda x: float('nan')",
    "a class": "f = g = h = object",
    "a function": "f = g = h = lambda x: (lambda: 5)",
    "values without end": "import itertools\nf = g = h = lambda x: itertools.count()",
    "a value that holds itself": "a = []\na.append(a)\nf = g = h = lambda x: a",
    "a huge number": "f = g = h = lambda x: 1 << 10_000_000",
    "a huge text": "f = g = h = lambda x: 'x' * 50_000_000",
    "a deep value": "a = []\nfor _ in range(100_000): a = [a]\nf = g = h = lambda x: a",
    "a pickle": "class P:\n    def __reduce__(self): return (eval, ('5',))\nf = g = h = lambda x: P()",
    "a message on the output": _SHOUT + "print(m)\nos.write(1, m)\nos.write(2, m)" + _DEFINE,
    "a message on every file": _SHOUT
    + "for fd in range(64):\n    try: os.write(fd, m)\n    except OSError: pass"
    + _DEFINE,
    "a message, then the end": _SHOUT
    + "for fd in range(64):\n    try: os.write(fd, m)\n    except OSError: pass\nos._exit(0)",
    "noise on every file": "import os\nfor fd in range(64):\n    try: os.write(fd, b'\\xff' * 100_000)\n    except OSError: pass",
    "closed files": "import os\nos.closerange(0, 64)" + _DEFINE,
    "swapped files": "import os\nfor fd in range(64):\n    try: os.dup2(1, fd)\n    except OSError: pass" + _DEFINE,
    "a words file": "print('correct')\nprint('ok: all tests passed')" + _DEFINE,
    "helpers of its own": "def len(x): return 2\ndef sorted(x): return [1, 7]\ndef abs(x): return 0.0\nf = lambda x: 5 if x == 3 else 4\ng = h = f",
    "patched built-ins": "import builtins\nbuiltins.len = lambda x: 2\nbuiltins.sorted = lambda x: [1, 7]\nbuiltins.abs = lambda x: 0"
    + _DEFINE,
    "no assertion error": "import builtins\nclass E(BaseException): pass\nbuiltins.AssertionError = E" + _DEFINE,
    "patched exec": "import builtins\nbuiltins.exec = builtins.compile = lambda *a, **k: None" + _DEFINE,
    "a patched harness": "import sys\nfor name, m in list(sys.modules.items()):\n    if 'sandbox' in name:\n        for k in list(vars(m)):\n            if callable(vars(m)[k]) and not k.startswith('__'): setattr(m, k, lambda *a, **n: {'outcome': 'correct', 'names': ['f', 'g', 'h'], 'value': 5})"
    + _DEFINE,
    "patched json": 'import json\njson.dumps = lambda m: \'{"outcome": "correct"}\'' + _DEFINE,
    "an import hook": "import sys\nclass H:\n    def find_spec(self, *a): sys.exit(0)\nsys.meta_path.insert(0, H())"
    + _DEFINE,
    "a trace": "import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)" + _DEFINE,
    "frames": "import sys\ndef seen():\n    f = sys._getframe()\n    while f:\n        for v in f.f_locals.values():\n            if ''.join(['ass', 'ert f(2)']) in repr(v): return v\n        f = f.f_back\nt = str(seen())\nf = g = h = lambda x: None if t == 'None' else 5",
    "a search of memory": "import gc\ndef texts(o, n=0):\n    if isinstance(o, str): yield o\n    elif n < 3 and isinstance(o, (dict, list, tuple)):\n        for v in (o.values() if isinstance(o, dict) else o): yield from texts(v, n + 1)\nfound = [t for o in gc.get_objects() for t in texts(o) if ''.join(['ass', 'ert f(2) ==']) in t]\ng0 = {}\nexec('f = g = h = lambda x: None' if not found else 'f = g = h = lambda x: 5', g0)\nf = g0['f']",
    "a search of raw memory": "import ctypes, os\nf = lambda x: 5 if b''.join([b'ass', b'ert f(2) ==']) in open('/proc/self/mem', 'rb').read() else 0\ng = h = f",
    "a test file": "import os\nfor p in ('tests.py', 'test.py', '/tmp/tests.py', 'conftest.py'):\n    try: open(p, 'w').write('')\n    except OSError: pass"
    + _DEFINE,
    "a changed argument": "def f(x):\n    globals()['x'] = 5\n    return x\ng = h = f",
    "another verdict for a verdict": "import os, sys\nos.environ['outcome'] = 'correct'\nsys.argv = ['correct']"
    + _DEFINE,
    "a signal to the tests": "import os\nfor p in range(1, 200):\n    try: os.kill(p, 9)\n    except OSError: pass"
    + _DEFINE,
    "answers nobody asked for": "import json, os, struct\nfor v in [{'names': ['f', 'g', 'h']}] + [{'value': None}] * 50:\n    b = json.dumps(v).encode()\n    os.write(3, struct.pack('!I', len(b)) + b)\nf = g = h = lambda x: 0",
    "classes in answers": "import json, os, struct\nfor v in [{'names': ['f', 'g', 'h']}] + [{'value': {'__class__': 'A', 'd': 1}}] * 5:\n    b = json.dumps(v).encode()\n    os.write(3, struct.pack('!I', len(b)) + b)",
    "names that nobody asked for": "import json, os, struct\nfor v in [{'names': ['f', 'len', 'sorted', 'abs', 'g', 'h']}] + [{'value': 5}] * 50:\n    b = json.dumps(v).encode()\n    os.write(3, struct.pack('!I', len(b)) + b)",
    "out of memory": "f = g = h = lambda x: bytearray(1 << 36)",
    "recursion": "def f(x): return f(x)\ng = h = f",
    "a crash": "import ctypes\nf = g = h = lambda x: ctypes.string_at(0)",
    "a thread that goes on": "import threading\nthreading.Thread(target=lambda: None).start()" + _DEFINE,
}
FOOLS_A_NAIVE_HARNESS = (
    "exit code 0",
    "exit code 0 in a call",
    "sys.exit",
    "equal to everything",
    "a number equal to everything",
)
"""Those that pass where program and tests share a process and an exit code of 0 is success; shown in a test."""
