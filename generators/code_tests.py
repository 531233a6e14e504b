"""Unit tests in the columns of a problem set: the layouts of HumanEval and MBPP, and those in between."""

import ast
import builtins

from stepforge.generators.cells import Cells
from stepforge.grading.programs import completed
from stepforge.schemas.verifier import OverLimit, UnitTests

CHECK = "check"
"""HumanEval's tests define a function of this name, which takes the one to test."""


def unit_tests(cells: Cells, seconds: float, over_limit: OverLimit) -> UnitTests | None:
    """Return the tests of a row: a text, or a list of assertions; None where it has none.

    Raises:
        BadInput: they are no Python, or call no function.
    """
    if (value := cells.value("tests")) is None:
        return None
    if isinstance(value, list | tuple) and all(isinstance(test, str) for test in value):
        value = "\n".join(map(str, value))
    if not isinstance(value, str):
        cells.bad("tests", "is neither a text nor a list of texts; write Python assertions")
    try:
        tree = ast.parse(value)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # the last of a text that nests too deep
        cells.bad("tests", f"is not Python ({str(error)[:80] or 'nested too deep'}); correct or remove the row")
    entry_point = cells.text("entry_point") or _first_called(tree)
    if entry_point is None or not entry_point.isidentifier():
        cells.bad("tests", "calls no function; name the column of its name as entry_point")
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    called = {name for node in tree.body if isinstance(node, ast.Expr) for name in _called(node)[:1]}
    if CHECK in defined - called:
        value = f"{value}\n{CHECK}({entry_point})"
    setup = cells.text("setup") or ""
    return UnitTests(tests=value, entry_point=entry_point, setup=setup, seconds=seconds, over_limit=over_limit)


def asked_by_name(question: str, tests: UnitTests) -> str:
    """Return a question that names the function to write; if it does not, the first test is added."""
    if f"{tests.entry_point}(" in question:
        return question
    return f"{question.rstrip()}\nYour code should pass this test:\n{tests.tests.splitlines()[0]}"


def known_solution(cells: Cells, tests: UnitTests | None) -> str | None:
    """Return the right solution of a row, completed if it continues a prompt."""
    text = cells.text("reference")
    return text if text is None or tests is None else completed(tests.setup, tests.entry_point, text)


def _first_called(tree: ast.Module) -> str | None:
    """Return the first function that an assertion calls and that is no built-in's wrapper around it."""
    called = (name for statement in tree.body if isinstance(statement, ast.Assert) for name in _called(statement.test))
    return next((name for name in called if not hasattr(builtins, name)), None)


def _called(node: ast.AST) -> list[str]:
    """Return the names of the functions that a statement or an expression calls, the outermost first."""
    return [n.func.id for n in ast.walk(node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
