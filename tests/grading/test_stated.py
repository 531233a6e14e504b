"""False equations in any text, and what must not count as one."""

import pytest

from stepforge.grading.stated import numbers_in, recalculated, states_false


@pytest.mark.parametrize(
    "text",
    [
        "So 19 + 8 + 16 + 8 = 41 apples.",
        "495 students * $15/student = $7455",
        "\\[ 2 \\times 5 = 11 \\]",
        "The sum is \\(\\frac{2}{3} + \\frac{1}{3} = 2\\).",
        "She pays 3.5 * 4000 = $14,100.",
        "25% of 80 = 25",
        "355 / 6 = 58",
        "17 mod 5 = 3",
        "seven plus eight is sixteen",
        "2 + 2 = 4, and then 4 * 3 = 13",
        "10% of 50 = 6",
        "r1 = 282 mod 108 = 74",
        "Once more a factor of 6: 6 = 6 * 6.",
        "80 - 25% = 70",
        ".5 * 10 = 6",
        "1 1/2 + 1 = 3 1/2",
        "2 hours * 60 minutes = 130 minutes",
    ],
)
def test_false_equations(text: str) -> None:
    assert states_false(text)


@pytest.mark.parametrize(
    "text",
    [
        "10 / 3 = 3.33",
        "20 / 6 = 3 boxes",
        "7 / 2 = 4 when rounded up",
        "25% of $80.00 = 0.25 * 80 = $20",
        "4 weeks = 4 * 7 days",
        "5 pairs = 5 * 2 = 10 shoes",
        "x + 3 = 5, so x = 5 - 3 = 2",
        "4 * 3 = 12y",
        "f(2) = 2 * 2 + 1 = 5",
        "P(3) = 9 * 2",
        "a_3 = 2 * 9",
        "101_2 = 4 + 1",
        "3:30 + 45 minutes = 4:15",
        "1,234,567 * 2 = 2.5 million",
        "\\sqrt{16} = 2 * 2",
        "log 8 = 3 * 1",
        "3! = 3 * 2 * 1 = 6",
        "706 / 7 is about 100",
        "\\pi \\approx 22 / 7 = 3.14",
        "17 = 2 (mod 5)",
        "10% of 50 = 5",
        "r1 = 282 mod 108 = 66",
        "200 + 30% of 200 = 260",
        "$80 - 25% = $60",
        ".5 * 10 = $5",
        "5 - 1 - 1/2 = 3 1/2 hours",
        "1 1/2 / 1/2 = 3",
        "\\(4\\dfrac{5}{8} = 4 + \\dfrac{5}{8} = \\frac{37}{8}\\)",
        "5 km + 300 m = 5300 m",
        "$5 + 50 cents = $5.50",
        "2 * 60 minutes = 120 minutes = 2 hours",
        "3 + 4 = 7 * 2 = 14",
        "\\sqrt{16} + 2 = 6",
        "3 + 4 = 3.5\\sqrt{4}",
        "36 = 50 - 50 \\cos A",
        "the books - 135 sold - 50 unsold = 65",
        "1 + 2 + \\dots + 9 + 10 is 55",
        "The numbers n/3 - 1, n/3 and n/3 + 1 are 3 in a row",
        "the remainder of 2004 divided by 12 is 0",
        "3^4 = 81 = 1 mod 10",
        "3 squared + 4 squared = 25",
        "2x + 3 = 11 and (5-a) / 3 = 1",
        "9 am + 5 hours = 2 pm",
        "Is 3 + 4 = 8? No.",
        "If 2 + 2 = 5, we have a contradiction.",
        "0.1 + 0.2 = 0.30000000000000004",
        "no numbers here",
    ],
)
def test_what_may_be_true_is_not_called_false(text: str) -> None:
    assert not states_false(text)


def test_numbers_are_read_from_any_notation() -> None:
    assert numbers_in("\\frac{1}{2} of $1,200 and seven") >= {"1200", "7"}


@pytest.mark.parametrize(
    ("solution", "answer", "comes_to"),
    [
        ("a = 3 * 4 = 11\nb = 11 + 5 = 16\n", "16", "17"),
        ("a = 3 * 4 mod 17 = 3\nb = 3 * 3 mod 17 = 9\n", "9", "2"),  # 12 * 3
        ("D = 9 - 12 = -2\nx = -2 / 3 = -2/3\n", "-2/3", "-1"),
        ("3 * 4 is 11. Then 11 - 5 = 7 is left.\n", "7", "7"),  # a second mistake makes up for the first
        ("20 / 6 = 3 boxes, and 3 * $7 = $24.\n", "$24", "21"),
        ("a = 3 * 4 = 11\n", "9", None),  # the answer is from elsewhere
        ("r = 9 mod 3 = 1\nr = 3 mod 1 = 0\n", "1", None),  # 0 would have ended it
    ],
)
def test_calculations_are_done_again(solution: str, answer: str, comes_to: str | None) -> None:
    assert recalculated(solution.splitlines(keepends=True), answer) == comes_to
