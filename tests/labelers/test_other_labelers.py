"""Bisection, walks, EpicPRM, SCAN and Math-Shepherd against answers worked out by hand."""

import asyncio
from math import ceil, exp, isclose, log, log2

import pytest
from fakes import KnownPolicy, a_solution, solved
from hypothesis import given, settings
from hypothesis import strategies as st
from searches import EPIC, RIGHT, SCAN_SMALL, SEARCHING, breaks_at, evidence_of, run, search, text

from stepforge.labelers import AMCS, SCAN, EpicPRM, Labeler, MathShepherd, OmegaPRM
from stepforge.labelers import Sequential as Walk
from stepforge.labelers.bisection import bisect
from stepforge.labelers.epic_prm import TOO_HARD, first_look, score
from stepforge.labelers.evidence.store import QUESTION, Trajectory, count_outcomes, solution_trajectory
from stepforge.labelers.labeling import TRUNCATED
from stepforge.labelers.scan import UNSURE
from stepforge.schemas.labeled import Verdict
from stepforge.schemas.rollout import Outcome, Rollout, Step


@pytest.mark.parametrize("steps", range(1, 13))
def test_bisection_finds_every_error_in_log2_questions(steps: int) -> None:
    for error in range(steps):
        found, asked = search(steps, lambda count, e=error: count <= e)  # type: ignore[misc]
        assert found == error
        assert len(asked) <= ceil(log2(steps))
        assert len(set(asked)) == len(asked)
        assert not {0, steps} & set(asked)


@given(st.integers(1, 40).flatmap(lambda t: st.tuples(st.just(t), st.integers(0, t - 1))), st.integers(-50, 90))
@settings(deadline=None)
def test_a_first_look_is_clamped_and_costs_no_more_than_its_longer_side(case: tuple[int, int], first: int) -> None:
    steps, error = case
    found, asked = search(steps, lambda count: count <= error, first)
    assert found == error
    assert not {0, steps} & set(asked)
    if steps > 1:
        assert asked[0] == min(max(first, 1), steps - 1)
        assert len(asked) <= 1 + ceil(log2(max(asked[0], steps - asked[0])))


@pytest.mark.parametrize("steps", range(2, 13))
def test_a_question_without_an_answer_ends_bisection(steps: int) -> None:
    for error in range(steps):
        _, asked = search(steps, lambda count, e=error: count <= e)  # type: ignore[misc]
        for silent in asked:
            found, until = search(steps, lambda count, s=silent, e=error: None if count == s else count <= e)  # type: ignore[misc]
            assert found is None
            assert until == asked[: asked.index(silent) + 1]


def test_bisection_stays_between_what_is_known() -> None:
    async def alive(count: int) -> bool:
        asked.append(count)
        return count <= 7

    asked: list[int] = []
    assert asyncio.run(bisect(5, 9, alive))[0] == 7
    assert all(5 < count < 9 for count in asked)


# Sequential, AMCS, EpicPRM and SCAN.


@pytest.mark.parametrize("error", range(8))
@pytest.mark.parametrize(
    "labeler", [*SEARCHING, OmegaPRM(k=16, grow=False), MathShepherd(k=16, right_solutions=False)], ids=repr
)
def test_the_step_after_which_nothing_succeeds_is_found(labeler: Labeler, error: int) -> None:
    right = [a_solution(f"right{i}", "abcdefgh", "correct") for i in range(3)]
    row = solved(*right, a_solution("bad", "ABCDEFGH", "wrong"), a_solution("cut", "ABCDEFGH", "undetermined"))
    policy = breaks_at("ABCDEFGH", error)
    labeled = run(labeler, row, policy)
    *good, bad, cut = labeled.solutions
    assert all(solution.verdict.finds_no_error for solution in good)
    assert bad.verdict == Verdict(labeler=labeler.name, first_error=error)
    assert cut.verdict.abstained
    assert cut.verdict.reason == TRUNCATED
    assert not any(prefix.startswith("a\n") for prefix in policy.asked)
    assert text("ABCDEFGH") not in policy.asked
    assert labeled.costs[0].cost.rollouts == policy.asked.total() == len(labeled.evidence)


@pytest.mark.parametrize("labeler", SEARCHING[:4], ids=repr)
def test_a_problem_without_wrong_solutions_costs_nothing(labeler: Labeler) -> None:
    policy = KnownPolicy(lambda prefix: 0.5)
    labeled = run(labeler, solved(RIGHT, a_solution("cut", "AB", "undetermined")), policy)
    assert not policy.asked
    assert [solution.verdict.abstained for solution in labeled.solutions] == [False, True]


@given(silent=st.sets(st.integers(1, 7)), pick=st.integers(0, len(SEARCHING) + 1))
@settings(deadline=None, max_examples=60)
def test_truncated_completions_never_become_negative(silent: set[int], pick: int) -> None:
    """With V = 1 wherever something can be counted, no step but the last can be named."""
    labeler = [*SEARCHING, MathShepherd(), OmegaPRM(grow=False)][pick]
    cut = {text("ABCDEFGH"[:count]) for count in silent}
    row = solved(*(a_solution(f"right{i}", "a", "correct") for i in range(3)), a_solution("bad", "ABCDEFGH", "wrong"))
    policy = KnownPolicy(lambda prefix: 1.0, truncated=lambda prefix: prefix in cut)
    verdict = run(labeler, row, policy).solutions[-1].verdict
    if verdict.abstained:
        assert silent
        assert verdict.reason is not None
        assert "has a verdict" in verdict.reason or "with a verdict" in verdict.reason
    else:
        assert verdict.first_error == 7


@pytest.mark.parametrize("labeler", SEARCHING, ids=repr)
def test_where_everything_is_truncated_all_abstain(labeler: Labeler) -> None:
    row = solved(RIGHT, a_solution("bad", "ABCD", "wrong"))
    labeled = run(labeler, row, KnownPolicy(lambda prefix: 1.0, truncated=lambda prefix: prefix != ""))
    verdict = labeled.solutions[1].verdict
    assert verdict.abstained
    assert verdict.first_error is None
    assert verdict.reason is not None
    assert verdict.reason.startswith("no completion of step")
    assert all(label is None or label.hard is None for label in labeled.solutions[1].labels[:-1])


def test_a_walk_ends_at_the_first_loss_and_takes_the_last_step_where_there_is_none() -> None:
    row = solved(RIGHT, a_solution("bad", "ABCDEFGH", "wrong"))
    policy = breaks_at("ABCDEFGH", 2)
    run(Walk(k=5), row, policy)
    assert set(policy.asked) == {text("A"), text("AB"), text("ABC")}
    assert policy.asked[text("ABC")] == 5
    always = KnownPolicy(lambda prefix: 1.0)
    assert run(Walk(k=5), row, always).solutions[1].verdict.first_error == 7
    assert set(always.asked.values()) == {1}
    assert len(always.asked) == 7


def test_amcs_bisects_with_six_to_twenty_completions() -> None:
    row = solved(RIGHT, a_solution("bad", "ABCDEFGH", "wrong"))
    policy = breaks_at("ABCDEFGH", 4, 0.5)
    labeled = run(AMCS(), row, policy)
    assert labeled.solutions[1].verdict.first_error == 4
    # 4 alive, 6 lost, 5 lost
    assert policy.asked[text("ABCDEF")] == policy.asked[text("ABCDE")] == 6
    assert 6 <= policy.asked[text("ABCD")] <= 20
    assert set(policy.asked) == {text("ABCD"), text("ABCDE"), text("ABCDEF")}


# EpicPRM.


@pytest.mark.parametrize(
    ("steps", "rate", "look"),
    [(8, 0.5, 4), (8, 1.0, 6), (8, 0.0, 2), (8, 0.75, 5), (10, 0.9, 7), (10, 0.1, 3), (3, 1.0, 1), (16, 0.25, 6)],
)
def test_the_first_look_is_earlier_the_harder_the_question(steps: int, rate: float, look: int) -> None:
    assert first_look(steps, rate) == look


def probe_with_tenth_at(place: int, length: int = 72) -> list[Rollout]:
    right = {*range(9), place - 1}
    return [a_solution(f"r{i}", "a", "correct" if i in right else "wrong") for i in range(length)]


def test_completions_follow_the_place_of_the_probes_tenth_right_one() -> None:
    # Released code: max(16, 8 ceil(i / 8)), i that place; 72 where there are fewer than ten.
    assert [EpicPRM().completions(probe_with_tenth_at(i)) for i in (10, 16, 17, 24, 25, 71)] == [16, 16, 24, 24, 32, 72]
    assert EpicPRM().completions([a_solution("r", "a", "correct")] * 9) == 72


@pytest.mark.parametrize("value", [0.4, 0.6, 0.9, 1.0])
def test_the_probe_sets_where_and_how_often_epic_prm_looks(value: float) -> None:
    row = solved(RIGHT, a_solution("bad", "ABCDEFGH", "wrong"))
    policy = breaks_at("ABCDEFGH", 5, value)
    labeled = run(EPIC, row, policy)
    probe = [RIGHT.outcome, "wrong", *(r.outcome for r in labeled.evidence if r.start and r.start.steps == 0)]
    assert len(probe) == 16
    assert policy.asked.pop("") == 14
    rate = probe.count("correct") / 16
    root = [r for r in labeled.evidence if r.start and r.start.steps == 0]
    probed = [*(s.rollout for s in labeled.solutions), *root]
    assert next(iter(policy.asked)) == text("ABCDEFGH"[: first_look(8, rate)])
    assert set(policy.asked.values()) == {EPIC.completions(probed)}


def test_epic_prm_leaves_too_hard_questions_alone() -> None:
    row = solved(RIGHT, a_solution("bad", "ABCDEFGH", "wrong"))
    policy = KnownPolicy(lambda prefix: 0.0)
    labeled = run(EPIC, row, policy)
    assert labeled.solutions[0].verdict.finds_no_error
    assert labeled.solutions[1].verdict.abstained
    assert labeled.solutions[1].verdict.reason == TOO_HARD
    assert policy.asked == {"": 14}
    # Three right ones are enough, two are not
    for right, abstains in ((3, False), (2, True)):
        many = solved(*(a_solution(f"r{i}", "a", "correct") for i in range(right)), a_solution("bad", "ABCD", "wrong"))
        assert run(EPIC, many, policy).solutions[-1].verdict.abstained == abstains


def a_completion(outcome: Outcome, mean_logprob: float | None) -> Rollout:
    return a_solution("c", "x", outcome).model_copy(update={"mean_logprob": mean_logprob})


def test_the_score_weighs_completions_by_their_likelihood_a_token() -> None:
    half, quarter = a_completion("correct", log(0.5)), a_completion("wrong", log(0.25))
    found = score([half, quarter, a_completion("undetermined", 0.0)])
    assert found is not None
    assert isclose(found, 0.5 / 0.75)
    # exp(-1) right against exp(-2) and 1 (untold) wrong: 0.367879 / (0.367879 + 0.135335 + 1)
    found = score([a_completion("correct", -1.0), a_completion("wrong", -2.0), a_completion("wrong", None)])
    assert found is not None
    assert isclose(found, exp(-1) / (exp(-1) + exp(-2) + 1))
    assert score([a_completion("correct", None), *[a_completion("wrong", None)] * 3]) == 0.25
    assert score([]) is None
    assert score([a_completion("undetermined", -1.0)]) is None


class Hesitant(KnownPolicy):
    """Its right completions are less likely, a token, than its wrong ones once step "C" is in the prefix."""

    def _rollout(self, prefix: str, name: str, right: bool) -> Rollout:
        unsure = right and "C" in prefix
        return super()._rollout(prefix, name, right).model_copy(update={"mean_logprob": -4.0 if unsure else 0.0})


def test_epic_prm_takes_unlikely_successes_for_a_loss() -> None:
    row = solved(RIGHT, a_solution("bad", "ABCDEFGH", "wrong"))
    # Half of the completions succeed everywhere; weighed, about 0.02 of them do behind C.
    assert run(EPIC, row, Hesitant(lambda prefix: 0.6)).solutions[1].verdict.first_error == 2
    assert run(EPIC, row, KnownPolicy(lambda prefix: 0.6)).solutions[1].verdict.first_error == 7


# SCAN.


def test_scan_is_charged_for_its_confidence() -> None:
    row = solved(RIGHT, a_solution("bad", "ABCDEFGH", "wrong"))
    policy = breaks_at("ABCDEFGH", 2)
    labeled = run(SCAN_SMALL, row, policy)
    assert labeled.solutions[1].verdict == Verdict(labeler="scan", first_error=2)
    assert policy.asked == {"": 14, text("A"): 8, text("AB"): 8, text("ABC"): 8}
    assert labeled.costs[0].cost.rollouts == 14 + 24
    assert labeled.costs[0].cost.generated_tokens == 5 * (14 + 24)
    assert labeled.costs[0].labeler == "scan"


def test_scan_abstains_below_its_confidence() -> None:
    row = solved(RIGHT, a_solution("bad", "ABCDEFGH", "wrong"))
    policy = KnownPolicy(lambda prefix: 0.4)
    labeled = run(SCAN_SMALL, row, policy)
    assert [solution.verdict.reason for solution in labeled.solutions] == [UNSURE, UNSURE]
    assert policy.asked == {"": 14}
    assert labeled.costs[0].cost.rollouts == 14


@pytest.mark.parametrize(("confidence", "abstains"), [(0.75, False), (0.76, True)])
def test_scans_threshold_is_inclusive(confidence: float, abstains: bool) -> None:
    # Three right and one wrong solution and nothing more to draw: self-confidence 3/4
    row = solved(*(a_solution(f"r{i}", "a", "correct") for i in range(3)), a_solution("bad", "ABCD", "wrong"))
    labeled = run(SCAN(confidence_samples=4, confidence=confidence), row, KnownPolicy(lambda prefix: 1.0))
    assert labeled.solutions[-1].verdict.abstained == abstains


def test_scan_without_any_determined_sample_abstains() -> None:
    brought = solved(a_solution("bad", "ABCD", "wrong"))
    brought = brought.model_copy(update={"policy": brought.policy.model_copy(update={"model": "somebody"})})
    labeled = run(SCAN_SMALL, brought, KnownPolicy(lambda prefix: 1.0, truncated=lambda prefix: True))
    assert labeled.solutions[0].verdict.reason == UNSURE


# Math-Shepherd with a root.


@pytest.mark.parametrize(("root", "drawn"), [(0, 0), (2, 0), (3, 0), (12, 9)])
def test_math_shepherd_completes_the_question_too(root: int, drawn: int) -> None:
    given_ones = [RIGHT, a_solution("bad", "ABC", "wrong"), a_solution("cut", "XYZ", "undetermined")]
    policy = KnownPolicy(lambda prefix: 0.5)
    labeled = run(MathShepherd(k=2, root=root), solved(*given_ones), policy)
    at_question = [r for r in labeled.evidence if r.start is not None and r.start.steps == 0]
    assert policy.asked[""] == len(at_question) == drawn
    label = count_outcomes([*given_ones, *at_question])
    assert label.trials + label.undetermined == max(root, 3)


def test_a_path_of_the_question_is_the_root_of_every_solution() -> None:
    bad = a_solution("bad", "ABC", "wrong")
    evidence = evidence_of(solved(RIGHT, bad), KnownPolicy(lambda prefix: 0.5))
    label = asyncio.run(evidence.measure(QUESTION, 0, 6))
    assert label == evidence.label(solution_trajectory(bad), 0)
    assert label.trials == 6
    assert evidence.label(Trajectory("", (Step(text="A\n"),), "wrong", 1), 1) is None
