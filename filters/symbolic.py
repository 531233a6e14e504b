r"""Asking Math-Verify whether two formulas are equal. Only for a process that can be killed: it may hang or blow up."""

import re
from typing import Any

from stepforge.filters.answer_text import cleaned, without_text_commands
from stepforge.schemas.rollout import Outcome

_REWRITES = (
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"(?<![\\A-Za-z])sqrt\s*\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"(?<![\\A-Za-z])(pi|sin|cos|tan|cot|log|ln)(?![A-Za-z])"), r"\\\1 "),
    (re.compile(r"(?<=[\w})])\s*\\text\{[^{}]*\}"), ""),
    (re.compile(r"\bdegrees\b|\$"), ""),
)


def symbolic_outcome(reference: str, answer: str, seconds: int) -> Outcome:
    """Return Math-Verify's verdict; ``undetermined`` where it cannot read one side or says nothing in time.

    ``seconds`` bounds each of three phases: reading the reference, reading the answer, comparing. Must run in the
    main thread, as Math-Verify's limits are alarms.
    """
    from math_verify import verify
    from math_verify.errors import TimeoutException
    from math_verify.utils import timeout

    try:
        gold, target = _read(reference, seconds), _read(answer, seconds)
        if not gold or not target:
            return "undetermined"
        if timeout(seconds)(_clearly_different)(gold[0], target[0]):
            return "wrong"
        equal = verify(
            gold, target, timeout_seconds=seconds, allow_set_relation_comp=True, raise_on_error=True, float_rounding=12
        )
    except (Exception, TimeoutException):  # Math-Verify lets every error of its parsers through
        return "undetermined"
    return "correct" if equal else "wrong"


def _read(text: str, seconds: int) -> list[Any]:
    from math_verify import LatexExtractionConfig, parse

    formula = cleaned(text)
    for pattern, replacement in _REWRITES:
        formula = pattern.sub(replacement, formula)
    parsed = parse(
        f"${without_text_commands(formula)}$",
        extraction_config=[LatexExtractionConfig()],
        fallback_mode="no_fallback",
        parsing_timeout=seconds,
        raise_on_error=True,
    )
    return [_exactly(found) for found in parsed]


def _exactly(found: Any) -> Any:
    """Turn decimals into the fractions they write: Math-Verify rounds, and calls 0.3333333 equal to 1/3."""
    from sympy import Float, Rational

    decimals = found.atoms(Float) if hasattr(found, "atoms") else ()
    return found.xreplace({d: Rational(str(d)) for d in decimals}) if decimals else found


def _clearly_different(gold: Any, target: Any) -> bool:
    """Tell by their values at one point that two formulas differ: simplifying them takes a hundred times as long."""
    from sympy import Expr, Rational

    if not isinstance(gold, Expr) or not isinstance(target, Expr):
        return False
    names = sorted(gold.free_symbols | target.free_symbols, key=str)
    point = {name: Rational(7 + 3 * i, 11 + i) for i, name in enumerate(names)}
    left, right = (complex(side.subs(point).evalf(15)) for side in (gold, target))
    return abs(left - right) > 1e-6 * (1 + abs(left) + abs(right))
