"""The figures that are watched: what is counted, and where a run is stopped."""

import pytest
from fakes import a_problem, a_solution, solved

from stepforge.pipelines.run_folder.watched import (
    Watched,
    reason_to_stop,
    watched_figures,
    watched_labels,
    watched_solutions,
    watched_text,
)
from stepforge.pipelines.settings.run_file import Watch
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, Verdict
from stepforge.schemas.rollout import SUPPLIED, Rollout, Start

NO_VERDICT = Verdict(labeler="t", first_error=None, abstained=True)


def test_solutions_are_counted_by_answer_and_by_pairs() -> None:
    empty = a_solution("e", "", "wrong").model_copy(update={"answer": None, "tokens": 1})
    row = solved(
        a_solution("a", "abc", "correct"),
        a_solution("b", "abd", "wrong"),
        a_solution("c", "abd", "wrong"),
        empty,
        a_solution("d", "abx", "undetermined"),
    )
    seen = watched_solutions([row, row])
    assert (seen.solved, seen.right, seen.wrong, seen.without_answer) == (8, 2, 6, 2)
    assert seen.cut_off == 2
    assert (seen.pairs, seen.identical) == (12, 2)  # of 6 pairs with a wrong one, one is b and c


def test_solutions_that_met_the_token_limit_are_told_and_warned_of() -> None:
    cut = a_solution("l", "abx", "undetermined").model_copy(update={"finish": "length"})
    row = solved(a_solution("a", "abc", "correct"), cut, cut.model_copy(update={"id": "m"}))
    seen = watched_solutions([row] * 10)
    assert (seen.solved, seen.cut_off) == (10, 20)
    assert "cut off at the token limit 67% of 30" in watched_text(seen)
    assert "20 of 30 solutions were cut off at policy.max_tokens" in (watched_figures(seen).warning or "")
    assert watched_figures(Watched(solved=27, right=20, cut_off=3)).warning is None


def test_the_policys_own_solutions_count_where_others_were_supplied() -> None:
    supplied = a_solution("s", "abc", "wrong").model_copy(update={"tokens": 0})
    row = solved(supplied).model_copy(update={"own": (a_solution("a", "abc", "correct"),)})
    assert (watched_solutions([row]).solved, watched_solutions([row]).right) == (1, 1)


def test_chance_is_read_from_log_probabilities() -> None:
    one = a_solution("a", "ab", "wrong")
    likely = one.model_copy(update={"steps": tuple(s.model_copy(update={"logprob": -0.5}) for s in one.steps)})
    seen = watched_solutions([solved(likely, likely.model_copy(update={"id": "b"}))])
    assert seen.expected_of == 1
    assert seen.expected == pytest.approx(0.3679, abs=1e-4)


def test_completions_after_a_right_first_step_are_held_against_the_question() -> None:
    right, wrong = a_solution("r", "abc", "correct"), a_solution("w", "axy", "wrong")
    other = a_solution("o", "zxy", "wrong")
    solutions = tuple(
        LabeledSolution(rollout=rollout, labels=(None,) * 3, verdict=NO_VERDICT) for rollout in (right, wrong, other)
    )

    def after(name: str, start: str, steps: int, outcome: str) -> Rollout:
        rollout = a_solution(name, "q", "correct" if outcome == "correct" else "wrong")
        return rollout.model_copy(update={"start": Start(rollout=start, steps=steps)})

    evidence = (
        after("1", "w", 1, "correct"),
        after("2", "r", 1, "wrong"),
        after("3", "w", 2, "wrong"),  # later
        after("4", "o", 1, "wrong"),  # no right solution begins so
    )
    row = LabeledProblem(
        problem=a_problem(), solutions=solutions, evidence=evidence, policy=solved(right).policy, costs=()
    )
    seen = watched_labels([row])
    assert (seen.after, seen.after_right, seen.wrong) == (2, 1, 3)
    assert seen.after_root == pytest.approx(2 / 3)


def test_supplied_solutions_are_continued_in_place_of_being_solved() -> None:
    right, wrong = a_solution("r", "abc", "correct"), a_solution("w", "axy", "wrong")
    policy = solved(right).policy.model_copy(update={"model": SUPPLIED})
    solutions = tuple(LabeledSolution(rollout=one, labels=(None,) * 3, verdict=NO_VERDICT) for one in (right, wrong))
    evidence = tuple(
        a_solution(str(i), "q", outcome).model_copy(update={"start": start})
        for i, (start, outcome) in enumerate(
            [
                (Start(rollout="w", steps=0), "wrong"),  # from the question
                (Start(rollout="r", steps=2), "correct"),
                (Start(rollout="r", steps=2), "undetermined"),
                (Start(rollout="w", steps=1), "wrong"),  # the step itself may be the reason
            ]
        )
    )
    row = LabeledProblem(problem=a_problem(), solutions=solutions, evidence=evidence, policy=policy, costs=())
    seen = watched_labels([row, row])
    assert (seen.continued, seen.continued_right, seen.continued_problems, seen.after) == (4, 2, 2, 0)
    assert watched_text(seen).startswith("right after the question or right steps 50% of 4")
    asked_to_solve = row.model_copy(update={"own": (a_solution("o", "abc", "wrong"),)})
    assert watched_labels([asked_to_solve]).continued == 0


def test_few_supplied_solutions_are_judged_at_the_end() -> None:
    seen = Watched(continued=38, continued_problems=9)
    assert reason_to_stop(seen, Watch(), temperature=1.0) is None
    assert "0 of 38 completions" in (reason_to_stop(seen, Watch(), temperature=1.0, ended=True) or "")


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (Watched(solved=40, right=0), "solves 0 of 40"),
        (Watched(solved=39, right=0), None),
        (Watched(solved=100, right=2), None),
        (Watched(continued=40, continued_problems=10), "0 of 40 completions from the questions"),
        (Watched(continued=40, continued_problems=9), None),
        (Watched(continued=40, continued_problems=10, continued_right=1), None),
        (Watched(solved=40, right=20, wrong=40, without_answer=21), "21 of 40 wrong rollouts end without an answer"),
        (Watched(solved=40, right=20, wrong=40, without_answer=20), None),
        (Watched(solved=40, right=20, pairs=60, identical=31), "31 of 60 pairs"),
        (Watched(solved=40, right=20, pairs=60, identical=30), None),
        (Watched(solved=40, right=20, pairs=60, identical=20, expected_of=60, expected=3), "3.0 would be by chance"),
        (Watched(solved=40, right=20, pairs=60, identical=40, expected_of=60, expected=35), None),
        (Watched(solved=40, right=20, after=60, after_right=9, after_root=20), "after one right step 9 of 60"),
        (Watched(solved=40, right=20, after=60, after_right=10, after_root=20), None),
    ],
)
def test_a_run_is_stopped_past_a_limit_and_not_before(seen: Watched, said: str | None) -> None:
    reason = reason_to_stop(seen, Watch(), temperature=1.0)
    assert (reason is None) if said is None else (said in (reason or ""))
    moved = Watch(least_pass_rate=0, most_without_answer=1, most_identical=1, least_after_right_step=0)
    assert reason_to_stop(seen, moved, temperature=1.0) is None
    assert reason is None or "to continue anyway" in reason
