"""Judging deductions by Z3: whether a step's conclusion follows from its premises, whatever the wording or order.

Letters are propositions; kinds of things are predicates over one sort, which ``every``, ``no`` and ``some`` quantify.
"""

import threading
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Literal

from stepforge.grading.logic import Deduction, Formula, known_formulas, read_deduction
from stepforge.grading.statement import ANSWER
from stepforge.labelers.explained import Judged
from stepforge.schemas.labeled import StepClass
from stepforge.schemas.problem import Problem

DeductionClass = Literal["valid", "redundant", "non_sequitur", "invalid", "unknown"]
"""``non_sequitur``: it does not follow from the step's premises, or they are not known, though it might be true;
``invalid``: it cannot be true; ``redundant``: it was already known; ``unknown``: Z3 did not finish."""
MISSING = "logic is judged by z3-solver, which is not installed: pip install 'stepforge[logic]'"
LIMIT_MS = 2000
"""Time limit of one Z3 query; a query that exceeds it gives no label."""
_OF_THREAD = threading.local()
_STEP: dict[DeductionClass, StepClass] = {
    "valid": "right",
    "redundant": "right",
    "non_sequitur": "wrong",
    "invalid": "wrong",
    "unknown": "unknown",
}


def z3_is_there() -> bool:
    return find_spec("z3") is not None


def judge_deductions(problem: Problem, lines: Iterable[tuple[int, str]]) -> list[tuple[int, Judged]]:
    """Return the class of each line that deduces something or gives the answer, with the step that it belongs to."""
    known = list(known_formulas(problem.question))
    judged: list[tuple[int, Judged]] = []
    for step, line in lines:
        if line.strip().startswith(f"{ANSWER}:"):
            answer = line.strip()[len(ANSWER) + 1 :].strip()
            judged.append((step, Judged("right" if answer == problem.answer else "wrong")))
        elif (deduction := read_deduction(line)) is not None:
            found = classify(deduction, known)
            if found == "valid":
                known.append(deduction.conclusion)
            judged.append((step, Judged(_STEP[found])))
        elif line.strip():
            judged.append((step, Judged("unknown")))
    return judged


def classify(deduction: Deduction, known: Sequence[Formula]) -> DeductionClass:
    if deduction.conclusion in known:
        return "redundant"
    sources = [source for source in deduction.sources if source is not None]
    named = len(sources) == len(deduction.sources) and all(source in known for source in sources)
    follows = _follows(tuple(sources), deduction.conclusion) if named else False
    if follows:
        return "valid"
    denied = _follows(tuple(known), Formula("not", (deduction.conclusion,)))
    if follows is None or denied is None:
        return "unknown"
    return "invalid" if denied else "non_sequitur"


@lru_cache(maxsize=1 << 14)  # the rollouts of a problem deduce the same again and again
def _follows(known: tuple[Formula, ...], conclusion: Formula) -> bool | None:
    """Return whether the others imply a formula; None if Z3 does not finish.

    Raises:
        ImportError: Z3 is not installed.
    """
    import z3

    if not hasattr(_OF_THREAD, "context"):  # slow to create, and threads may not share one
        _OF_THREAD.context = z3.Context()
    context = _OF_THREAD.context
    solver = z3.Solver(ctx=context)
    solver.set("timeout", LIMIT_MS)
    solver.add(*(_term(one, context) for one in known), z3.Not(_term(conclusion, context)))
    answer = solver.check()
    return None if answer == z3.unknown else bool(answer == z3.unsat)


def _term(formula: Formula, context: Any) -> Any:
    import z3

    operator, parts = formula
    if operator in ("not", "and", "or", "if"):
        terms = [_term(part, context) for part in parts if isinstance(part, Formula)]
        return {"not": z3.Not, "and": z3.And, "or": z3.Or, "if": z3.Implies}[operator](*terms)
    names = [str(part) for part in parts]
    if operator == "atom":
        return z3.Bool(names[0], context)
    things, truth = z3.DeclareSort("Thing", context), z3.BoolSort(context)
    if operator == "is":
        return z3.Function(names[1], things, truth)(z3.Const(names[0], things))
    thing = z3.Const("any thing", things)
    first, second = (z3.Function(name, things, truth)(thing) for name in names)
    if operator == "some":
        return z3.Exists([thing], z3.And(first, second))
    return z3.ForAll([thing], z3.Implies(first, second if operator == "every" else z3.Not(second)))
