"""Curtailed, adaptive, walking and probing labelers against policies whose values are known."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from math import ceil, exp, isclose, log, log2, sqrt

import pytest
from fakes import EqualGrader, KnownPolicy, a_solution, solved
from hypothesis import given, settings
from hypothesis import strategies as st

from stepforge.labelers import AMCS, SCAN, EpicPRM, Labeler, MathShepherd, OmegaPRM
from stepforge.labelers import Sequential as Walk
from stepforge.labelers.bisection import bisect
from stepforge.labelers.epic_prm import TOO_HARD, first_look, score
from stepforge.labelers.evidence.store import QUESTION, Evidence, Trajectory, count_outcomes, solution_trajectory
from stepforge.labelers.labeling import TRUNCATED
from stepforge.labelers.scan import UNSURE
from stepforge.schemas.interval import wilson
from stepforge.schemas.labeled import LabeledProblem, StepLabel, Verdict
from stepforge.schemas.rollout import Outcome, Rollout, SolvedProblem, Step

RIGHT = a_solution("right", "a", "correct")
EPIC = EpicPRM(probe=16, fewest=8, most=16, least_right=3)
SCAN_SMALL = SCAN(confidence_samples=16, k=8)
SEARCHING: list[Labeler] = [Walk(), Walk(curtailed=False), AMCS(), EPIC, SCAN_SMALL]


def breaks_at(solution: str, error: int, value: float = 0.9, lost: float = 0.0) -> KnownPolicy:
    """A policy with V = value before step ``error`` of the solution, and V = lost once that step is in the prefix."""
    broken = text(solution[: error + 1])
    return KnownPolicy(lambda prefix: lost if prefix.startswith(broken) else value)


def text(letters: str) -> str:
    return "".join(f"{letter}\n" for letter in letters)


def run(labeler: Labeler, row: SolvedProblem, policy: KnownPolicy, seed: int = 0) -> LabeledProblem:
    return asyncio.run(labeler(row, policy, EqualGrader(), seed=seed))


def evidence_of(row: SolvedProblem, policy: KnownPolicy, seed: int = 0, *, shared: bool = True) -> Evidence:
    return Evidence(row, policy, EqualGrader(), seed, shared=shared)


# Curtailed forms: the same labels in distribution, for fewer completions.

LETTERS, ERROR, K, RUNS = "ABCDEF", 2, 4, 600
V = [0.6, 0.6, 0.05, 0.05, 0.05]
"""V of the prefixes of 1 to 5 steps."""
ALIVE = [1 - (1 - v) ** K for v in V]
CURTAILED: list[tuple[Labeler, Labeler, str]] = [
    (MathShepherd(k=K), MathShepherd(k=K, curtailed=True), "walk"),
    (Walk(k=K, curtailed=False), Walk(k=K, curtailed=True), "walk"),
    (OmegaPRM(k=K, grow=False), OmegaPRM(k=K, grow=False, curtailed=True), "bisection"),
]
pairs = pytest.mark.parametrize(
    ("full", "curtailed", "search"), CURTAILED, ids=["math_shepherd", "sequential", "omega"]
)


def walk_law() -> list[float]:
    """P(first error): the first prefix without a success among ``K``, else the last step."""
    law, reached = [], 1.0
    for alive in ALIVE:
        law.append(reached * (1 - alive))
        reached *= alive
    return [*law, reached]


def bisection_law(right: int = 0, wrong: int = len(LETTERS), chance: float = 1.0) -> list[float]:
    if wrong - right == 1:
        return [chance if i == wrong - 1 else 0.0 for i in range(len(LETTERS))]
    middle = (right + wrong) // 2
    alive = ALIVE[middle - 1]
    up, down = bisection_law(middle, wrong, chance * alive), bisection_law(right, middle, chance * (1 - alive))
    return [a + b for a, b in zip(up, down, strict=True)]


def simulate(labeler: Labeler, seeds: Iterable[int]) -> list[LabeledProblem]:
    row = solved(RIGHT, a_solution("bad", LETTERS, "wrong"))
    policy = breaks_at(LETTERS, ERROR, 0.6, lost=0.05)

    async def everything() -> list[LabeledProblem]:
        return [await labeler(row, policy, EqualGrader(), seed=seed) for seed in seeds]

    return asyncio.run(everything())


def shares(labeled: Sequence[LabeledProblem]) -> list[float]:
    counts = Counter(row.solutions[1].verdict.first_error for row in labeled)
    return [counts[i] / len(labeled) for i in range(len(LETTERS))]


def distance(p: Sequence[float], q: Sequence[float]) -> float:
    """Total variation."""
    return sum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2


def chi_square(found: Sequence[float], law: Sequence[float], n: int) -> float:
    return sum(n * (f - p) ** 2 / p for f, p in zip(found, law, strict=True) if p)


def mean_and_error(p: float) -> tuple[float, float]:
    """Completions until the first success among at most ``K``, and the standard error of the mean of one draw."""
    law = [p * (1 - p) ** (n - 1) for n in range(1, K)] + [(1 - p) ** (K - 1)]
    mean = sum(n * q for n, q in enumerate(law, 1))
    assert isclose(mean, (1 - (1 - p) ** K) / p)
    return mean, sqrt(sum((n - mean) ** 2 * q for n, q in enumerate(law, 1)))


@pytest.fixture(scope="module")
def runs() -> Callable[[Labeler, int], list[LabeledProblem]]:
    done: dict[str, list[LabeledProblem]] = {}

    def of(labeler: Labeler, first: int) -> list[LabeledProblem]:
        key = f"{labeler!r} {first}"
        if key not in done:
            done[key] = simulate(labeler, range(first, first + RUNS))
        return done[key]

    return of


Runs = Callable[[Labeler, int], list[LabeledProblem]]


@pairs
def test_curtailed_labels_have_the_same_distribution(
    full: Labeler, curtailed: Labeler, search: str, runs: Runs
) -> None:
    law = walk_law() if search == "walk" else bisection_law()
    assert isclose(sum(law), 1)
    found = [shares(runs(full, 0)), shares(runs(curtailed, 10_000))]
    # Two samples of 600 from one law differ by 0.03 in the mean; the 99.9 % point of chi-square with 5 degrees is 20.5
    assert distance(*found) < 0.08
    for sample in found:
        assert distance(sample, law) < 0.06
        assert chi_square(sample, law, RUNS) < 20.5


@pairs
def test_curtailed_prefixes_take_the_expected_completions(
    full: Labeler, curtailed: Labeler, search: str, runs: Runs
) -> None:
    drawn: dict[int, list[int]] = {}
    for row in runs(curtailed, 10_000):
        for i, label in enumerate(row.solutions[1].labels[:-1]):
            if label is not None:
                assert label.stopping == "first_success"
                assert label.successes == 1 or (label.successes, label.failures) == (0, K)
                drawn.setdefault(i, []).append(label.trials)
    assert len(drawn) >= 4
    for i, counts in drawn.items():
        mean, spread = mean_and_error(V[i])
        assert abs(sum(counts) / len(counts) - mean) < 4 * spread / sqrt(len(counts))


@pairs
def test_full_forms_draw_exactly_k(full: Labeler, curtailed: Labeler, search: str, runs: Runs) -> None:
    measured = [label for row in runs(full, 0) for label in row.solutions[1].labels[:-1] if label is not None]
    assert {(label.trials, label.stopping) for label in measured} == {(K, "fixed")}
    spent = [
        sum(row.costs[0].cost.rollouts for row in runs(part, first)) for part, first in ((full, 0), (curtailed, 10_000))
    ]
    assert spent[1] < spent[0]


def test_a_curtailed_prefix_may_be_filled_up_and_is_then_as_good_as_a_full_one() -> None:
    path = solution_trajectory(a_solution("one", "abC", "wrong"))

    async def grow() -> list[StepLabel | None]:
        evidence = evidence_of(solved(), KnownPolicy(lambda prefix: 1.0))
        return [
            await evidence.until_success(path, 1, 8),
            await evidence.measure(path, 1, 8),
            await evidence.until_success(path, 1, 8),
            evidence.label(path, 1),
        ]

    first, full, _, kept = asyncio.run(grow())
    assert first is not None and full is not None and kept is not None
    assert (first.trials, first.stopping) == (1, "first_success")
    assert (full.trials, full.stopping) == (kept.trials, kept.stopping) == (8, "fixed")


# Evidence.


def amcs_stop(outcomes: Sequence[Outcome], first: int, most: int, half_width: float) -> int:
    """How many completions AMCS's rule takes of an endless row of right and wrong ones."""
    for n in range(first, most):
        right = outcomes[:n].count("correct")
        low, high = wilson(right, n)
        if right in (0, n) or (high - low) / 2 <= half_width:
            return n
    return most


@pytest.mark.parametrize(("first", "most", "half_width"), [(6, 20, 0.2), (4, 30, 0.25), (1, 12, 0.3)])
@pytest.mark.parametrize("value", [0.0, 0.1, 0.5, 0.85, 1.0])
def test_drawing_stops_by_amcs_rule(value: float, first: int, most: int, half_width: float) -> None:
    path = solution_trajectory(a_solution("one", "abC", "wrong"))

    async def drawn(seed: int) -> tuple[list[Outcome], StepLabel]:
        evidence = evidence_of(solved(), KnownPolicy(lambda prefix: value), seed)
        part = AMCS(first=first, most=most, half_width=half_width)
        label = await evidence.until(path, 1, first, most, part.narrow)
        return [rollout.outcome for rollout in evidence.rollouts], label

    async def everything() -> list[tuple[list[Outcome], StepLabel]]:
        return [await drawn(seed) for seed in range(20)]

    for outcomes, label in asyncio.run(everything()):
        assert len(outcomes) == label.trials == amcs_stop(outcomes, first, most, half_width)
        assert first <= len(outcomes) <= most
        assert label.stopping == "adaptive"
        if value in (0.0, 1.0):
            assert len(outcomes) == first


def test_amcs_rule_by_hand() -> None:
    class Once(KnownPolicy):
        def _rollout(self, prefix: str, name: str, right: bool) -> Rollout:
            first, self.value = self.value, lambda prefix: 0.0
            return super()._rollout(prefix, name, first(prefix) == 1.0)

    path = solution_trajectory(a_solution("one", "abC", "wrong"))
    evidence = evidence_of(solved(), Once(lambda prefix: 1.0))
    label = asyncio.run(evidence.until(path, 1, 6, 20, AMCS().narrow))
    # One success: Wilson's half-width is 0.2076 for 9 completions and 0.1931 for 10
    assert (label.successes, label.failures) == (1, 9)


def test_completions_without_a_verdict_do_not_make_an_interval_narrow() -> None:
    path = solution_trajectory(a_solution("one", "abC", "wrong"))
    evidence = evidence_of(solved(), KnownPolicy(lambda prefix: 1.0, truncated=lambda prefix: True))
    label = asyncio.run(evidence.until(path, 1, 6, 20, AMCS().narrow))
    assert (label.trials, label.undetermined, label.truncated) == (0, 20, 20)


@given(st.integers(0, 5), st.lists(st.integers(1, 4), max_size=4), st.integers(0, 1))
@settings(deadline=None, max_examples=30)
def test_more_draws_exactly_so_many_more(k: int, further: list[int], count: int) -> None:
    bad = a_solution("one", "abC", "wrong")
    given_ones = [RIGHT, bad] if count == 0 else []
    policy = KnownPolicy(lambda prefix: 0.5)

    async def grow() -> list[int]:
        evidence = evidence_of(solved(RIGHT, bad), policy)
        totals = [(await evidence.measure(solution_trajectory(bad), count, k)).trials]
        totals += [(await evidence.more(solution_trajectory(bad), count, n)).trials for n in further]
        assert len({rollout.id for rollout in evidence.rollouts}) == evidence.cost.rollouts == policy.asked.total()
        return totals

    totals = asyncio.run(grow())
    assert totals[0] == max(k, len(given_ones))
    assert [after - before for before, after in pairwise(totals)] == further


def test_without_sharing_every_solution_pays_for_its_own_completions() -> None:
    row = solved(a_solution("one", "abCD", "wrong"), a_solution("two", "abEF", "wrong"))
    asked, costs = {}, {}
    for shared in (True, False):
        policy = KnownPolicy(lambda prefix: 0.5)
        labeled = run(MathShepherd(k=8, shared=shared), row, policy)
        asked[shared], costs[shared] = policy.asked, labeled.costs[0].cost.rollouts
        assert costs[shared] == len({rollout.id for rollout in labeled.evidence}) == policy.asked.total()
        assert all(label is not None and label.trials == 8 for s in labeled.solutions for label in s.labels[:-1])
    assert asked[True] == {text("a"): 8, text("ab"): 8, text("abC"): 8, text("abE"): 8}
    assert asked[False] == {text("a"): 16, text("ab"): 16, text("abC"): 8, text("abE"): 8}
    assert (costs[True], costs[False]) == (32, 48)


def test_without_sharing_the_common_steps_get_counts_of_their_own() -> None:
    row = solved(a_solution("one", "abCD", "wrong"), a_solution("two", "abEF", "wrong"))
    one, two = map(solution_trajectory, row.rollouts)

    async def drawn() -> list[list[str]]:
        evidence = evidence_of(row, KnownPolicy(lambda prefix: 0.5), shared=False)
        await asyncio.gather(evidence.measure(one, 2, 4), evidence.measure(two, 2, 4), evidence.measure(QUESTION, 0, 6))
        ids = [[r.id for r in evidence.completions(path, 2)] for path in (one, two)]
        return [*ids, [r.id for r in evidence.completions(one, 0)], [r.id for r in evidence.completions(two, 0)]]

    first, second, root, same = asyncio.run(drawn())
    assert len(first) == len(second) == 4
    assert not {*first} & {*second}
    assert root == same
    assert len(root) == 6  # the two solutions and four more


# Bisection.


def search(steps: int, answers: Callable[[int], bool | None], first: int | None = None) -> tuple[int | None, list[int]]:
    asked: list[int] = []

    async def alive(count: int) -> bool | None:
        asked.append(count)
        return answers(count)

    error, last = asyncio.run(bisect(0, steps, alive, first))
    assert last == (asked[-1] if asked else 0)
    return error, asked


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
@pytest.mark.parametrize("labeler", SEARCHING, ids=repr)
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
@settings(deadline=None, max_examples=150)
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
    assert labeled.solutions[1].verdict.abstained
    assert labeled.solutions[1].verdict.reason == UNSURE
    assert policy.asked == {"": 14}
    assert labeled.costs[0].cost.rollouts == 14


def test_scan_leaves_the_whole_problem_alone_below_its_confidence() -> None:
    row = solved(RIGHT, a_solution("bad", "ABCDEFGH", "wrong"))
    labeled = run(SCAN_SMALL, row, KnownPolicy(lambda prefix: 0.4))
    assert labeled.solutions[0].verdict.abstained


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
