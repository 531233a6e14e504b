"""What a confined process does: run a program, serve its functions, test them, or call a user's own function.

The tests and the program that they test are in two processes. The program's sees the arguments of calls and answers
with plain values; the comparisons, the expected values and the verdict are in the other one, out of its reach.
"""

import ast
import builtins
import inspect
import io
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, NoReturn, TypedDict

from stepforge.pipelines.sandbox.wire import Gone, NotPlain, packed, receive, send, unpacked

CONTROL, LINK = 3, 4
"""File descriptors of a confined process: to its requester, and from the tests to the program."""
MESSAGE = 500
"""Longest message about a failure, in characters."""
NOT_IMPORTED = "cannot be imported"
_BROKEN_TEST = (NameError, ImportError, SyntaxError)
"""Exceptions of a test itself that say nothing about the program."""


class _ProgramFailed(Exception):
    """The program raised something in a call."""


class _PastLimit(BaseException):
    """The program exceeded its memory."""


def serve_program() -> None:
    """Run a program, then answer calls to what it defines, until the connection closes."""
    task = receive(CONTROL)
    module = ModuleType("program")
    sys.modules["program"] = module
    try:
        exec(compile(task["program"], "<program>", "exec"), vars(module))  # noqa: S102 - locked in
    except BaseException as error:
        send(CONTROL, _raised(error))
        return
    send(CONTROL, {"names": [name for name in task["names"] if callable(vars(module).get(name))]})
    while True:
        asked = receive(CONTROL)
        try:
            value = vars(module)[asked["name"]](*unpacked(asked["args"]), **unpacked(asked["named"]))
            answer = {"value": packed(value)}
        except Gone:
            raise
        except BaseException as error:
            answer = {"not_plain": str(error)} if isinstance(error, NotPlain) else _raised(error)
        send(CONTROL, answer)


def _raised(error: BaseException) -> dict[str, str]:
    lines = traceback.format_exception_only(type(error), error)
    name, _, text = lines[-1].strip().partition(": ")
    return {"raised": name[:MESSAGE], "text": text[:MESSAGE]}


def _line(error: BaseException) -> str:
    if isinstance(error, _ProgramFailed):
        return str(error)
    return ": ".join(filter(None, _raised(error).values()))


class TestTask(TypedDict):
    program: str
    tests: str
    entry_point: str
    setup: str


class _Program:
    """The program's functions, as the tests call them."""

    def __init__(self, task: TestTask, names: list[str]) -> None:
        send(LINK, {"program": task["program"], "names": names})
        names_there = self._answer().get("names")
        self.names = {str(name) for name in names_there} if isinstance(names_there, list) else set[str]()

    def function(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            send(LINK, {"name": name, "args": packed(args), "named": packed(named)})
            return unpacked(self._answer().get("value"))

        return call

    @staticmethod
    def _answer() -> Mapping[str, object]:
        answer = receive(LINK)
        if not isinstance(answer, dict) or "not_plain" in answer:
            raise NotPlain("the program's answer is not a plain value")
        if answer.get("raised") == "MemoryError":
            raise _PastLimit
        if "raised" in answer:
            raise _error(str(answer["raised"]), str(answer.get("text"))[:MESSAGE])
        return answer


def _error(name: str, text: str) -> Exception:
    """Return an exception of the same built-in class, so that tests may expect it."""
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception) and kind not in (AssertionError, *_BROKEN_TEST):
        try:
            return kind(text)
        except TypeError:
            pass
    return _ProgramFailed(": ".join(filter(None, (name, text))))


def run_tests() -> None:
    task = receive(CONTROL)
    try:
        outcome, message = _tested(task)
    except Gone:
        outcome, message = "undetermined", "the program's process ended"
    except _PastLimit:
        outcome, message = "past_limit", "out of memory"
    except NotPlain as error:
        outcome, message = "undetermined", str(error)
    send(CONTROL, {"outcome": outcome, "message": message[:MESSAGE]})


def _tested(task: TestTask) -> tuple[str, str]:
    space: dict[str, object] = {"__name__": "tests"}
    try:
        tests = ast.parse(task["tests"])
        exec(compile(task["setup"], "<setup>", "exec"), space)  # noqa: S102 - locked in
    except Exception as error:
        return "undetermined", f"the tests cannot be run: {_line(error)}"
    wanted = [task["entry_point"], *_undefined(tests, space)]
    try:
        program = _Program(task, wanted)
    except Exception as error:
        return "wrong", _line(error)
    if task["entry_point"] not in program.names:
        return "wrong", f"NameError: the program does not define {task['entry_point']}"
    space |= {name: program.function(name) for name in program.names if name in wanted}
    for statement in tests.body:
        try:
            exec(compile(ast.Module([statement], []), "<tests>", "exec"), space)  # noqa: S102 - locked in
        except _BROKEN_TEST as error:
            return "undetermined", f"the tests cannot be run: {_line(error)}"
        except Exception as error:
            return "wrong", _failure(statement, error, program)
    return "correct", ""


def _undefined(tests: ast.Module, space: dict[str, object]) -> list[str]:
    """Return the names that the tests take from the program, as those of a class that the question asks for."""
    nodes = list(ast.walk(tests))
    bound = {n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    bound |= {n.arg for n in nodes if isinstance(n, ast.arg)}
    bound |= {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    bound |= {(n.asname or n.name).partition(".")[0] for n in nodes if isinstance(n, ast.alias)}
    used = {n.id for n in nodes if isinstance(n, ast.Name)}
    return sorted(used - bound - set(space) - set(dir(builtins)))


def _failure(statement: ast.stmt, error: Exception, program: _Program) -> str:
    """Return a readable failure: the test, and the actual value."""
    text = ast.unparse(statement)
    if not isinstance(error, AssertionError):
        return f"{text}: {_line(error)}"
    test = statement.test if isinstance(statement, ast.Assert) else None
    call = test.left if isinstance(test, ast.Compare) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id not in program.names:
        return f"failed: {text}"
    try:
        return f"failed: {text}; it is {program.function(call.func.id)(*map(ast.literal_eval, call.args))!r:.200}"
    except Exception:
        return f"failed: {text}"


def run_program() -> None:
    """Run a program; its last statement, where that is an expression, is its value."""
    task = receive(CONTROL)
    sys.stdout = sys.stderr = io.TextIOWrapper(
        io.FileIO(1, "w"), encoding="utf-8", errors="backslashreplace", write_through=True
    )
    module = ModuleType("__main__")
    sys.modules["__main__"] = module
    answer: dict[str, object] = {"status": "done", "value": None}
    try:
        tree = ast.parse(task["program"])
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "<program>", "exec"), vars(module))  # noqa: S102 - locked in
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "<program>", "eval"), vars(module))  # noqa: S307
            answer["value"] = None if value is None else repr(value)[: task["limit"]]
    except MemoryError:
        answer["status"] = "past_limit"
    except SystemExit as error:
        if error.code not in (None, 0):
            answer |= {"status": "error", "error": f"SystemExit: {error.code}"[:MESSAGE]}
    except BaseException as error:
        answer |= {"status": "error", "error": _line(error)}
    send(CONTROL, answer)


def ask_function() -> None:
    task = receive(CONTROL)
    sys.path[:] = task["path"]
    module, _, name = task["function"].partition(":")
    try:
        function = getattr(import_module(module), name)
    except BaseException as error:
        send(CONTROL, {"outcome": "undetermined", "message": f"{NOT_IMPORTED} ({_line(error)})"})
        return
    try:
        also = {"kept": task["kept"]} if "kept" in inspect.signature(function).parameters else {}
        said = function(task["question"], task["solution"], **also)
    except BaseException as error:
        send(CONTROL, {"outcome": "undetermined", "message": _line(error)})
        return
    words = {True: "correct", False: "wrong", None: "undetermined"}
    outcome = said if isinstance(said, str) else words.get(said) if isinstance(said, bool | None) else None
    known = outcome in words.values()
    message = "" if known else f"it returned {said!r:.100}, not True, False or None"
    send(CONTROL, {"outcome": outcome if known else "undetermined", "message": message})


def run_command() -> NoReturn:
    """Become a user's own command; its standard input and output are in place."""
    task = receive(CONTROL)
    os.execvpe(task["command"][0], task["command"], {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"})  # noqa: S606


WORK: dict[str, Callable[[], None]] = {
    "program": serve_program,
    "tests": run_tests,
    "run": run_program,
    "function": ask_function,
    "command": run_command,
}
