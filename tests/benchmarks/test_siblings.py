"""The sibling statistic counts pairs of solutions that begin alike, within a problem and nowhere else."""

from benchmarks.embedded_policy.siblings import right_and_any, siblings
from stepforge.schemas.rollout import Outcome, Rollout, Step


def rollout(*lines: str, outcome: Outcome = "correct") -> Rollout:
    steps = tuple(Step(text=f"{line}\n") for line in lines)
    return Rollout(id="r", start=None, steps=steps, answer="1", outcome=outcome, finish="stop", tokens=1)


def test_shared_beginnings_are_counted_by_their_length() -> None:
    a, b, c = rollout("x", "y", "z"), rollout("x", "y", "w"), rollout("v", "y", "z")
    found = siblings([[a, b, c]])
    assert found.pairs == 3
    assert found.shared == {1: 1, 2: 1}
    assert found.text == "first step 1 of 3, first 2 steps 1 of 3, first 4 steps 0 of 3"


def test_neither_other_problems_nor_steps_that_are_not_there_are_compared() -> None:
    assert siblings([[rollout("x")], [rollout("x")]]).pairs == 0
    assert siblings([[rollout("x"), rollout("x")]]).shared == {1: 1}


def test_right_pairs_are_of_right_solutions_and_undetermined_ones_count_nowhere() -> None:
    rows = [[rollout("x"), rollout("x"), rollout("x", outcome="wrong"), rollout("x", outcome="undetermined")]]
    found = right_and_any(rows)
    assert (found["right pairs"].pairs, found["any pairs"].pairs) == (1, 3)
