"""What change_point takes from evidence: every rollout once, and supplied solutions as what they are."""

from math import log

import pytest
from change_point_worlds import World, case, drawn, leaving, run
from fakes import EqualGrader, KnownPolicy, a_solution, solved

from stepforge.labelers import ChangePoint
from stepforge.labelers.change_point.model import (
    Observed,
)
from stepforge.labelers.change_point.rates import (
    ALONE,
    ANSWER,
    BACKED,
    FALSE,
    NO_RESULT,
    NOTHING,
    OTHER,
    UNKNOWN,
    Rates,
)
from stepforge.labelers.change_point.statements import stated
from stepforge.labelers.evidence.replay import stored_evidence
from stepforge.labelers.evidence.store import Evidence, solution_trajectory
from stepforge.labelers.rules import PosteriorRule
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.rollout import SUPPLIED, Outcome, Rollout, SolvedProblem, Start, Step, pass_rate


def evidence_on(row: SolvedProblem) -> Evidence:
    return Evidence(row, KnownPolicy(lambda prefix: 0.5), EqualGrader(), seed=3)


def seen_of(row: SolvedProblem, index: int = 0, part: ChangePoint | None = None) -> Observed:
    return (part or ChangePoint()).observed(solution_trajectory(row.rollouts[index]), evidence_on(row))


SIBLINGS = solved(
    a_solution("bad", "ABCDE", "wrong"),
    a_solution("twin", "ABCxy", "correct"),
    a_solution("cousin", "ABuvw", "wrong"),
    a_solution("other", "zyxwv", "correct"),
    a_solution("cut", "ABCDz", "undetermined"),
)


def test_every_rollout_counts_once_where_it_leaves_and_the_solution_itself_at_the_question() -> None:
    assert leaving(seen_of(SIBLINGS)) == [(1, 0), (0, 0), (0, 1), (1, 0), (0, 0)]
    assert leaving(seen_of(SIBLINGS, 1)) == [(1, 0), (0, 0), (0, 1), (0, 1), (0, 0)]
    assert [drawn(seen_of(SIBLINGS, i)) for i in (0, 1)] == [[(c, 1 - c), *[(0, 0)] * 4] for c in (0, 1)]


def test_without_log_probabilities_q_is_the_share_that_wrote_the_step() -> None:
    assert seen_of(SIBLINGS).written.tolist() == [2 / 4, 2 / 3, 1 / 3, 0.0, 0.0]


def test_with_log_probabilities_q_is_the_probability_of_the_step() -> None:
    steps = tuple(s.model_copy(update={"logprob": log(0.25)}) for s in SIBLINGS.rollouts[0].steps)
    row = solved(SIBLINGS.rollouts[0].model_copy(update={"steps": steps}), *SIBLINGS.rollouts[1:])
    assert seen_of(row).written == pytest.approx([0.25] * 5)
    assert seen_of(row, part=ChangePoint(surprise=False)).written.tolist() == seen_of(SIBLINGS).written.tolist()


def test_a_copy_of_the_solution_says_nothing_about_where_it_went_wrong() -> None:
    row = solved(a_solution("bad", "ABCDE", "wrong"), a_solution("copy", "ABCDE", "wrong"))
    assert leaving(seen_of(row)) == [(0, 0)] * 5


def test_completions_count_where_they_were_drawn_and_without_siblings_these_count_at_the_question() -> None:
    path, evidence = solution_trajectory(SIBLINGS.rollouts[0]), evidence_on(SIBLINGS)
    evidence.add(a_solution("through", "CDq", "correct"), path.steps[:2])
    evidence.add(a_solution("copy", "CDE", "wrong"), path.steps[:2])
    with_siblings = ChangePoint().observed(path, evidence)
    assert drawn(with_siblings) == [(0, 1), (0, 0), (1, 1), (0, 0), (0, 0)]
    assert leaving(with_siblings) == [(1, 0), (0, 0), (0, 1), (1, 0), (0, 0)]
    without = ChangePoint(siblings=False).observed(path, evidence)
    assert drawn(without) == [(2, 2), (0, 0), (1, 1), (0, 0), (0, 0)]
    assert not without.written.any()
    assert leaving(without) == [(0, 0)] * 5


def sums(*lines: str, outcome: Outcome) -> Rollout:
    steps = tuple(Step(text=f"{line}\n") for line in lines)
    return a_solution(lines[-1], "", outcome).model_copy(update={"steps": steps})


def test_what_a_step_states_is_compared_with_the_right_solutions() -> None:
    wrong = sums("2 + 3 = 5", "5 * 4 = 21", "so 21 + 6 is 27", "done: 27", outcome="wrong")
    right = sums("there are 5", "5 * 4 = 20", "26", outcome="correct")
    row = solved(wrong, right)
    row = row.model_copy(update={"problem": row.problem.model_copy(update={"question": "2, 3, 4 and 6"})})
    assert seen_of(row).stated == pytest.approx([OTHER, FALSE, ALONE, ANSWER])
    assert seen_of(row, 1).stated == pytest.approx([UNKNOWN] * 3)  # no other right one
    assert seen_of(row, part=ChangePoint(stated=False)).stated is None
    assert seen_of(row, part=ChangePoint(siblings=False)).stated == pytest.approx([UNKNOWN, FALSE, UNKNOWN, ANSWER])
    text = row.problem.model_copy(update={"answer_kind": "text"})
    assert seen_of(row.model_copy(update={"problem": text})).stated is None


def test_a_steps_result_is_looked_for_in_right_rollouts_that_were_not_given_the_step() -> None:
    wrong = sums("Of 2 and 3 we get 2 + 3 = 5", "so 5 it is", "5 * 4 = 23", "23 + 6 = 29", outcome="wrong")
    right = sums("there are 5", "5 * 4 = 20", "26", outcome="correct")
    row = solved(wrong, right, sums("23", outcome="wrong"))
    row = row.model_copy(update={"problem": row.problem.model_copy(update={"question": "2, 3, 4 and 6"})})
    evidence = evidence_on(row)
    lucky = sums("5 * 4 = 23", "26", outcome="correct")
    for given in (2, 3):  # the second was given the step that states 23
        start = Start(rollout=wrong.id, steps=given)
        evidence.add(lucky.model_copy(update={"id": f"lucky {given}", "start": start}), wrong.steps[:given])
    seen = ChangePoint().observed(solution_trajectory(wrong), evidence)
    assert seen.results is not None
    assert seen.results.tolist() == [[1, 1], [*NO_RESULT], [1, 2], [0, 3]]
    seen = ChangePoint(siblings=False).observed(solution_trajectory(wrong), evidence)  # its own completions alone
    assert seen.results is not None
    assert seen.results.tolist() == [[0, 0], [*NO_RESULT], [1, 1], [0, 2]]
    other = sums("5 * 4 = 23", "no", outcome="wrong").model_copy(update={"id": "other"})
    evidence = evidence_on(row.model_copy(update={"rollouts": (*row.rollouts, other)}))
    given = lucky.model_copy(update={"id": "given", "steps": lucky.steps[1:], "start": Start(rollout="other", steps=1)})
    evidence.add(given, other.steps[:1])  # it states 5 and 23 only because it was given them
    seen = ChangePoint().observed(solution_trajectory(wrong), evidence)
    assert seen.results is not None
    assert seen.results.tolist() == [[1, 1], [*NO_RESULT], [0, 1], [0, 2]]
    assert seen_of(row, 1).results is None  # there is no other right one to compare it with
    seen = ChangePoint().observed(solution_trajectory(right), evidence)
    assert seen.results is not None
    assert seen.results.tolist() == [[0, 0], [0, 1], [1, 1]]
    assert seen_of(solved(sums("so", "and so", outcome="wrong"), right)).results is None


QUESTION = "There are 3 pens with Ann. Take 4 times as many to get Bob's number. How many pens has Bob?"
RIGHT = ("Ann has 3.", "As for Bob we get 4 * 3 = 12.", "The 2nd part: 12 - 2 = 10.")


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        ("Let us begin.", NOTHING),
        ("3 pens belong to Ann.", NOTHING),
        ("Then Bob has 3 pens.", ALONE),  # the question gives 3 to Ann, and nothing works it out
        ("Bob: 3 * 4 = 12, and 12 - 2 = 10.", BACKED),
        ("So 7 is for Bob: 4 * 3 = 12.", ALONE),  # 7 from nowhere
        ("For Ann that is 4 * 3 = 12.", ALONE),  # right solutions work out Bob's
        ("The 3rd part: 12 - 2 = 10.", ALONE),
        ("12 - 3 = 9 for Bob", ALONE),
        ("12 - 10 = 2 for Bob", OTHER),
        ("12 - 10 = 3 for Bob", FALSE),
        ("so x = x = 3 + y", NOTHING),  # what is left of it has no side but x
    ],
)
def test_a_right_solution_backs_a_step_whose_equations_it_has_with_all_that_is_beside_them(
    step: str, kind: int
) -> None:
    assert stated(QUESTION, (step, "The answer."), (RIGHT,)) == (kind, ANSWER)


def test_a_step_that_repeats_an_earlier_one_states_nothing_and_a_name_needs_no_right_solution() -> None:
    assert stated(QUESTION, ("In all 4 * 3 = 12.", "So we have 12.", "It is 12."), ()) == (UNKNOWN, NOTHING, ANSWER)
    assert stated(QUESTION, ("Now Bob has 3.",), ()) == (ALONE,)
    checked = ("As for Bob, 4 * 3 = 12.", "12 / 3 = 4, so it fits.", "12 / 4 = 3, so it fits, as 2 + 2 = 4 does.")
    assert stated(QUESTION, checked, (RIGHT,)) == (BACKED, UNKNOWN, OTHER)


def seen_beside(rollout: Rollout, evidence: Evidence) -> list[int]:
    kinds = ChangePoint().observed(solution_trajectory(rollout), evidence).stated
    assert kinds is not None
    return kinds.tolist()


def test_right_completions_are_compared_with_too_but_for_those_of_the_solution_itself() -> None:
    first, second = sums("1 + 1 = 2", "2 * 2 = 5", outcome="wrong"), sums("1 + 1 = 2 now", outcome="wrong")
    row = solved(first, second)
    evidence = evidence_on(row)
    assert seen_of(row).stated == pytest.approx([UNKNOWN, FALSE])
    mended = sums("2 * 2 = 4", outcome="correct").model_copy(update={"start": Start(rollout=first.id, steps=1)})
    evidence.add(mended, first.steps[:1])
    assert [seen_beside(r, evidence) for r in (first, second)] == [[UNKNOWN, FALSE], [BACKED]]
    begun = sums("2 * 2 = 4 at first", "5", outcome="wrong").model_copy(update={"id": "begun", "start": mended.start})
    evidence.add(begun, first.steps[:1])
    again = mended.model_copy(update={"id": "again", "start": Start(rollout=begun.id, steps=2)})
    evidence.add(again, (*first.steps[:1], *begun.steps[:1]))
    assert seen_beside(first, evidence) == [UNKNOWN, FALSE]
    evidence.root.append(sums("4", outcome="correct"))
    assert seen_beside(first, evidence) == [ALONE, FALSE]  # nothing but "4" is right beside it


def brought_along() -> SolvedProblem:
    nobody = SIBLINGS.policy.model_copy(update={"model": SUPPLIED})
    tokenless = tuple(r.model_copy(update={"tokens": 0}) for r in SIBLINGS.rollouts)  # as the pipeline stores them
    return SIBLINGS.model_copy(update={"policy": nobody, "rollouts": tokenless})


def test_supplied_solutions_are_no_samples_of_the_policy() -> None:
    seen = seen_of(brought_along())
    assert leaving(seen) == drawn(seen) == [(0, 0)] * 5
    policy = KnownPolicy(lambda prefix: 0.9)
    run(ChangePoint(), brought_along(), policy)
    assert policy.asked[""] == 4  # so the base rate is asked for


def test_beside_supplied_solutions_the_policys_own_are_its_samples() -> None:
    own = tuple(r.model_copy(update={"id": f"own-{r.id}"}) for r in SIBLINGS.rollouts)
    supplied = brought_along().model_copy(update={"own": own})
    policy = KnownPolicy(lambda prefix: 0.9)
    labeled = run(ChangePoint(), supplied, policy)
    assert policy.asked[""] == 0
    assert labeled.own == own
    assert labeled.pass_rate == supplied.pass_rate == pass_rate(own)
    assert [s.verdict.posterior for s in labeled.solutions] == [
        ChangePoint().verdict_on(s.rollout, stored_evidence(labeled)).posterior for s in labeled.solutions
    ]


def reread(row: LabeledProblem) -> LabeledProblem:
    return LabeledProblem.model_validate_json(row.model_dump_json())


@pytest.mark.parametrize("part", [ChangePoint(), ChangePoint(siblings=False), ChangePoint(rates=Rates(hazard=3.0))])
def test_the_posterior_rule_says_of_stored_rows_what_the_run_said(part: ChangePoint) -> None:
    row, policy, _ = case(World(), 2)
    rule = PosteriorRule(model=part)
    labeled = reread(run(part, row, policy, seed=2))
    for solution in labeled.solutions:
        view = rule.view(labeled, solution)
        assert view.verdict == solution.verdict.model_copy(update={"labeler": "posterior"})
        assert solution.verdict.posterior is not None
        assert view.targets[0] == pytest.approx(1 - solution.verdict.posterior[0])


def test_the_posterior_rule_knows_supplied_solutions() -> None:
    labeled = run(ChangePoint(), brought_along(), KnownPolicy(lambda prefix: 0.6))
    for solution in labeled.solutions:
        if solution.rollout.outcome != "undetermined":
            view = PosteriorRule().view(labeled, solution)
            assert view.verdict.posterior == solution.verdict.posterior
