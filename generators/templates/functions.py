"""What template expressions may call: draws, roundings and tests."""

from collections.abc import Callable
from fractions import Fraction
from random import Random

from stepforge.generators.templates.expressions import Function, TemplateError, Value, number

MAX_RANGE = 100_000
"""Most values that a range may hold."""


def template_functions(rng: Random) -> dict[str, Function]:
    """Return the functions by name; the draws among them use ``rng``."""
    return {
        **_PURE,
        "sample": lambda items, count=Fraction(1): _sample(rng, _list(items), count),
        "sample_sequential": lambda items, count: _neighbors(rng, _list(items), int(number(count))),
        "range": lambda *bounds: rng.choice(_spread(*map(number, bounds))),
        "arange": lambda *bounds: decimal_text(rng.choice(_spread(*map(number, bounds)))),
        "range_str": lambda low, high, step, names: rng.choice(_named(low, high, step, _list(names))),
    }


def decimal_text(value: Fraction) -> str:
    """Return a number as a decimal where it ends, else as a fraction."""
    digits = next((d for d in range(400) if 10**d % value.denominator == 0), 0)
    whole = f"{abs(value.numerator) * 10**digits // value.denominator:0{digits + 1}d}"
    return f"{'-' if value < 0 else ''}{whole[:-digits]}.{whole[-digits:]}" if digits else str(value)


def _list(value: Value) -> tuple[Value, ...]:
    if not isinstance(value, tuple) or not value:
        raise TemplateError("a draw needs a list that is not empty")
    return value


def _sample(rng: Random, items: tuple[Value, ...], count: Value) -> Value:
    wanted = int(number(count))
    return rng.choice(items) if wanted == 1 else tuple(rng.sample(items, wanted))


def _neighbors(rng: Random, items: tuple[Value, ...], count: int) -> Value:
    start = rng.randrange(len(items))
    return tuple(items[(start + i) % len(items)] for i in range(min(count, len(items))))


def _spread(low: Fraction, high: Fraction, step: Fraction = Fraction(1)) -> list[Fraction]:
    """Return low, low + step and so on, up to high itself."""
    if step <= 0 or low > high or (high - low) / step > MAX_RANGE:
        raise TemplateError(f"a range from {low} to {high} by {step}")
    return [low + i * step for i in range(int((high - low) / step) + 1)]


def _named(low: Value, high: Value, step: Value, names: tuple[Value, ...]) -> list[Value]:
    """Return (name, number) for the numbers of a range that have a name: names count from one."""
    numbers = _spread(number(low), number(high), number(step))
    return [(names[int(n) - 1], n) for n in numbers if n.denominator == 1 and 1 <= n <= len(names)]


def _whole(value: Value) -> Fraction:
    exact = number(value)
    if exact.denominator != 1:
        raise TemplateError(f"{exact} is not whole")
    return exact


def _test(test: Callable[..., bool]) -> Function:
    return lambda *values: Fraction(int(test(*map(number, values))))


_PURE: dict[str, Function] = {
    "int": lambda value: Fraction(int(number(value))),
    "float": lambda value: number(value),
    "Fraction": lambda value: str(number(value)),
    "round": lambda value, digits=Fraction(0): Fraction(round(number(value), int(number(digits)))),
    "ensure_int": _whole,
    "is_int": _test(lambda value: value.denominator == 1),
    "divides": _test(lambda value, by: by != 0 and value % by == 0),
    "plural": lambda count, one, other: one if abs(number(count)) == 1 else other,
    "range_list": lambda low, high, step=Fraction(1): tuple(_spread(number(low), number(high) - 1, number(step))),
    "str": lambda value: value if isinstance(value, str) else decimal_text(number(value)),
}
