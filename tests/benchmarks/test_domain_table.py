"""The table of label quality by domain: shares and intervals are those of the counts in a report."""

from benchmarks.domains import rows, share
from stepforge.schemas.interval import wilson

COUNTS = {
    "first_error_accuracy": 0.75,
    "correct_solution_accuracy": 0.9,
    "right_answer_wrong_step_recall": 0.5,
    "abstained_share": 0.1,
    "wrong_solutions": 40,
    "correct_solutions": 50,
    "right_answer_through_wrong_step": 10,
    "exact_first_errors_of_wrong_solutions": 30,
}


def test_a_row_holds_each_share_with_its_interval() -> None:
    report = {
        "policy": {"pass_rate": {"domain: logic": {"pass_rate": 0.6}}},
        "labelers": {"one": {"by": {"domain: logic": COUNTS, "source: logic": COUNTS}}, "two": {"by": {}}},
    }
    (row,) = rows(report)
    low, high = wilson(30, 40)
    assert f"| logic | 0.60 | `one` | 0.75 ({low:.2f} to {high:.2f}) of 40 |" in row
    assert share(45, 50) in row and share(5, 10) in row and share(10, 100) in row
    assert share(0, 0) == "none"
