"""Figures as text."""

import pytest

from stepforge.pipelines.terminal.tables import shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"), (0.0, "0.000"), (0.00042, "0.00042"), (0.5, "0.500"), (1.5, "1.5"), (-0.25, "-0.250"),
        (-12.34, "-12.3"), (1234.5, "1,234"), (1234, "1,234"), ({}, "0"), ("words", "words"),
    ],
)  # fmt: skip
def test_a_figure_is_shown_with_suitable_precision(value: object, text: str) -> None:
    assert shown(value) == text
