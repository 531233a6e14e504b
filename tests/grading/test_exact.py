"""The exact parser: agrees with Python's fractions, refuses hostile text at once, and reads what it writes."""

import re
from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepforge.grading.exact import (
    MAX_DEGREE,
    MAX_DIGITS,
    MAX_EXPONENT,
    MAX_LENGTH,
    MAX_NESTING,
    ExactError,
    Polynomial,
    evaluate,
)

fractions = st.fractions(max_denominator=60).filter(lambda f: abs(f) < 1000)
expressions = st.recursive(
    st.integers(0, 99).map(str),
    lambda inner: st.tuples(inner, st.sampled_from([*"+-*/", "mod"]), inner).flatmap(
        lambda parts: st.sampled_from(["{} {} {}", "({} {} {})", "-({}) {} {}"]).map(lambda form: form.format(*parts))
    ),
    max_leaves=12,
).filter(lambda text: len(text) <= MAX_LENGTH)


@settings(deadline=None)
@given(expressions)
def test_agrees_with_python(text: str) -> None:
    """``mod`` is for whole numbers alone; all else has the value that Python works out."""
    exact = re.sub(r"\d+", r"Fraction(\g<0>)", text.replace("mod", "%"))
    try:
        expected = eval(exact)  # noqa: S307 - numbers and signs
    except ZeroDivisionError:
        expected = None
    try:
        assert evaluate(text).constant == expected
    except ExactError:
        assert expected is None or "mod" in text


@settings(deadline=None, max_examples=50)
@given(st.lists(fractions, max_size=8))
def test_a_polynomial_is_read_back_from_its_text(coefficients: list[Fraction]) -> None:
    polynomial = Polynomial(coefficients)
    assert evaluate(str(polynomial)) == polynomial
    assert str(evaluate(str(polynomial))) == str(polynomial)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3 * (7 - 2)", "15"),
        ("84 mod 36", "12"),
        ("-7 mod 3", "2"),
        ("7/6", "7/6"),
        ("0.25", "1/4"),
        ("2^3 * 3", "24"),
        ("-2^2", "-4"),
        ("2^3^2", "512"),
        ("1/2x^2", "1/2x^2"),
        ("2 - -3 * -2", "-4"),
        ("--3", "3"),
        ("2(x + 1)x", "2x^2 + 2x"),
        ("(x + 1)^2", "x^2 + 2x + 1"),
        ("x - x", "0"),
    ],
)
def test_known_values(text: str, value: str) -> None:
    assert str(evaluate(text)) == value


HOSTILE = {
    "too long": "1+" * MAX_LENGTH + "1", "too many digits": "9" * (MAX_DIGITS + 1),
    "decimals too long": "0." + "1" * MAX_DIGITS,
    "nested too deep": "(" * (MAX_NESTING + 1) + "1" + ")" * (MAX_NESTING + 1), "exponent": f"2^{MAX_EXPONENT + 1}",
    "degree": f"x^{MAX_DEGREE} * x", "degree of a product": f"(x^{MAX_DEGREE} + 1)(x + 1)", "tower": "9^9^9",
    "nested powers": "(((((((9^24)^24)^24)^24)^24)^24)^24)^24", "many powers": "(x+" + "9" * 30 + ")^24 mod 3",
    "fractional exponent": "2^(1/2)", "negative exponent": "2^-1", "by zero": "1/0", "by a zero": "1/(2 - 2)",
    "mod zero": "5 mod 0", "mod a fraction": "5 mod (1/2)", "by x": "1/x", "empty": "", "blank": "   ",
    "unclosed": "(1", "closed": "1)", "operators": "1 + * 2", "import": "__import__('os')", "call": "abs(1)",
    "wide digits": "\uff11 + 1", "superscript": "2\u00b2", "nul": "1\0", "surrogate": "\ud800", "comma": "1,000",
    "dot": "1.", "scientific": "1e9",
}  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_refused_at_once(name: str) -> None:
    with pytest.raises(ExactError):
        evaluate(HOSTILE[name])


@settings(deadline=None)
@given(st.text(alphabet="0123456789+-*/^()x. mod", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ExactError):
        str(evaluate(text))
