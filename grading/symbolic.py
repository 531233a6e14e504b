r"""Asking Math-Verify, for the formulas that ``grading.formula`` does not read: integrals, sums, limits, sets, vectors.

It is asked with letters as they are and units left in: by default it folds capitals, takes ``5c`` for 5 cents, and
compares words by their letters. Only ever called in a process that can be killed: it may hang or blow up.
"""

import re
from typing import Any

from stepforge.grading.gates import may_be_equal
from stepforge.grading.spelling import cleaned
from stepforge.grading.units import read_unit, split_unit
from stepforge.schemas.rollout import Outcome

_REWRITES = (
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"(?<![\\A-Za-z])sqrt\s*\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"(?<![\\A-Za-z])(pi|sin|cos|tan|cot|log|ln)(?![A-Za-z])"), r"\\\1 "),
    (re.compile(r"\bdegrees\b|\$"), ""),
)
_DIGITS = 50
"""Digits to which two numbers must agree, relative to their size."""


def symbolic_outcome(reference: str, answer: str) -> Outcome:
    """Return Math-Verify's verdict; ``undetermined`` where it cannot read one side or finds no difference.

    Sets no limit on its time: whoever calls it does, by an exception that is no ``Exception``.
    """
    if not may_be_equal(reference, answer):
        return "undetermined"
    try:
        return _compared(_read(reference), _read(answer))
    except Exception:  # Math-Verify lets every error of its parsers through
        return "undetermined"


def _read(text: str) -> Any:
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig, NormalizationConfig, latex2sympy, normalize_latex
    from math_verify.grader import should_treat_as_complex

    formula = cleaned(text)
    body, unit = split_unit(formula)
    if unit and read_unit(" " + unit) is not None:
        formula = body
    if "degrees" in formula and "'" in formula:
        raise ValueError("minutes of an angle")
    for pattern, replacement in _REWRITES:
        formula = pattern.sub(replacement, formula)
    if "\\text" in formula:
        raise ValueError("words in a formula")
    spelled = NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none", equations=False
    )
    found = latex2sympy(
        normalize_latex(formula, spelled),
        is_real=not should_treat_as_complex(formula),
        convert_degrees=False,
        normalization_config=None,
        conversion_config=ConversionConfig(lowercase_symbols=False),
    )
    return _exactly(found)


def _exactly(found: Any) -> Any:
    """Turn decimals into the fractions they write: Math-Verify rounds, and calls 0.3333333 equal to 1/3."""
    from sympy import Float, Rational

    decimals = found.atoms(Float) if hasattr(found, "atoms") else ()
    return found.xreplace({d: Rational(str(d)) for d in decimals}) if decimals else found


def _compared(gold: Any, target: Any) -> Outcome:
    """Compare by value where both are formulas: simplifying them takes a hundred times as long."""
    from math_verify import verify
    from sympy import Expr, Symbol

    if isinstance(gold, Symbol) or isinstance(target, Symbol):
        return "correct" if gold == target else "undetermined"
    if isinstance(gold, Expr) and isinstance(target, Expr):
        difference, names = _relative_difference(gold, target), gold.free_symbols | target.free_symbols
        if difference is not None and difference > 10.0**-_DIGITS:
            return "wrong" if difference > 1e-6 or not names else "undetermined"
        if not names:
            return "correct" if difference is not None or (gold - target).doit() == 0 else "undetermined"
    equal = verify(gold, target, timeout_seconds=None, allow_set_relation_comp=True, raise_on_error=True, strict=True)
    return "correct" if equal else "undetermined"


def _relative_difference(gold: Any, target: Any) -> float | None:
    """Return how far two formulas are apart at one point, relative to their size; None where that is not known."""
    from sympy import Rational

    names = sorted(gold.free_symbols | target.free_symbols, key=str)
    point = {name: Rational(7 + 3 * i, 11 + i) for i, name in enumerate(names)}
    left, right = (side.subs(point).evalf(_DIGITS + 15) for side in (gold, target))
    size = max(abs(left), abs(right))
    if not (left.is_number and right.is_number and size.is_finite) or 0 < size < 1e-30:  # a trace of rounding, or tiny
        return None
    return float(abs(left - right) / size) if size else 0.0
