"""The change-point model against a sum over every path, and what it says of single findings."""

from itertools import product
from math import comb, isclose, log

import numpy as np
import pytest
from change_point_worlds import STEPS, Counts, observed
from hypothesis import given, settings
from hypothesis import strategies as st

from stepforge.labelers.change_point.labeler import classes_of
from stepforge.labelers.change_point.model import (
    AGAIN,
    FOLLOWS,
    MISGRADED,
    SLACK,
    Observed,
    chances,
    information,
    posterior,
)
from stepforge.labelers.change_point.rates import (
    ALL_OR_NONE,
    ALONE,
    BASE_LAW,
    FALSE,
    GRID,
    NO_RESULT,
    OTHER,
    SIZE,
    UNKNOWN,
    Rates,
    kernels,
)
from stepforge.labelers.change_point.values import value_and_interval


def urn(rates: Rates, stating: int, of: int) -> list[float]:
    """Return the chances of a step's result as Polya's urn gives them, one rollout after the other."""
    if (stating, of) == NO_RESULT:
        return [1 - share for share in rates.results]
    found = []
    for share, mean in zip(rates.results, rates.confirmed, strict=True):
        share *= comb(of, stating)
        for i in range(of):
            drawn = i - stating if i >= stating else i
            ball = mean if i < stating else 1 - mean
            share *= (ball * ALL_OR_NONE + drawn) / (ALL_OR_NONE + i)
        found.append(share)
    return found


def brute(seen: Observed, rates: Rates) -> tuple[list[float], float, list[float]]:
    """Return P(first error), the evidence, and E[V] after each step."""
    steps, laws = len(seen.written), kernels()
    weights: dict[int, float] = dict.fromkeys(range(steps + 1), 0.0)
    values = [0.0] * (steps + 1)

    def moved(before: tuple[str, int], after: tuple[str, int], t: int) -> float:
        (a, i), (b, j), q = before, after, float(seen.written[t])
        wrong = 1 - np.exp(-rates.hazard * (1 - q) / steps)
        mended, again = 1 - np.exp(-rates.repair / steps), 1 - (1 - wrong) ** AGAIN
        mean = float(seen.written.mean())
        harmless, early = rates.harmless_share(mean), float(rates.early_shares(mean, steps)[t])
        move = sum(w * laws.moves[k][i, j] for k, w in enumerate(rates.all_moves))
        drop = sum(w * laws.drops[k][i, j] for k, w in enumerate(rates.drops))
        right, first, after = (1.0, 1.0, 1.0) if seen.stated is None else rates.statements[:, seen.stated[t]]
        if seen.results is not None:
            right, first, after = np.array([right, first, after]) * urn(rates, *seen.results[t].tolist())
        chance = {
            ("right", "right"): (1 - wrong) * right * move,
            ("right", "repaired"): wrong * harmless * first * move,
            ("repaired", "repaired"): ((1 - again) * right + again * harmless * first) * move,
            ("right", "lost"): wrong * (1 - harmless) * (1 - early) * first * drop,
            ("repaired", "lost"): again * (1 - harmless) * first * drop,
            ("right", "early"): wrong * (1 - harmless) * early * right * drop,
            ("early", "early"): (1 - FOLLOWS) * right * laws.lost[i, j],
            ("early", "lost"): FOLLOWS * first * laws.lost[i, j],
            ("lost", "lost"): (1 - mended) * after * laws.lost[i, j],
            ("lost", "repaired"): mended * right * laws.repair[i, j],
        }.get((a, b), 0.0)
        others = GRID[i] - q * GRID[j]  # what those who leave contribute to V
        w = min(max(others / (1 - q), 0.005), 0.995)
        missed = max(0.0, others - (1 - q), -others) / SLACK
        left = w ** seen.left_right[t] * (1 - w) ** seen.left_wrong[t]
        drawn = GRID[i] ** seen.successes[t] * (1 - GRID[i]) ** seen.failures[t]
        return float(chance * left * drawn * np.exp(-(missed**2)))

    states = list(product(("right", "lost", "repaired", "early"), range(SIZE)))
    for path in product(states, repeat=steps):
        ends_right = path[-1][0] != "lost"
        end = 1 - MISGRADED if ends_right == seen.right else MISGRADED
        error = next((t for t, (regime, _) in enumerate(path) if regime in ("lost", "repaired")), steps)
        for start in range(SIZE):
            weight = float(BASE_LAW[start]) * end
            for t, (before, after) in enumerate(zip((("right", start), *path), path, strict=False)):
                weight *= moved(before, after, t)
                if not weight:
                    break
            weights[error] += weight
            for t, (_, place) in enumerate((("right", start), *path)):
                values[t] += weight * GRID[place]
    total = sum(weights.values())
    return [weights[e] / total for e in range(steps + 1)], total, [v / total for v in values]


counts = st.tuples(st.integers(0, 3), st.integers(0, 3))


chance = st.floats(0.0, 0.95)


some_rates = st.builds(
    Rates, hazard=st.floats(0.1, 5), repair=st.floats(0.05, 2), harmless=st.tuples(*[st.floats(0, 0.9)] * 2)
)


@st.composite
def observations(draw: st.DrawFn, most: int = 8) -> Observed:
    steps = draw(st.integers(1, most))
    leaving = draw(st.lists(counts, min_size=steps, max_size=steps))
    left = draw(st.lists(counts, min_size=steps, max_size=steps))
    return observed(leaving, draw(st.booleans()), draw(st.lists(chance, min_size=steps, max_size=steps)), left)


@pytest.mark.parametrize(
    ("leaving", "right", "written", "stated", "results"),
    [
        ([(2, 1), (0, 3)], False, [0.0, 0.0], None, None),
        ([(3, 0), (1, 1)], True, [0.7, 0.2], [OTHER, FALSE], [NO_RESULT, (0, 2)]),
        ([(0, 0), (0, 2)], False, [0.9, 0.0], [ALONE, UNKNOWN], [(3, 4), (0, 0)]),
    ],
)
def test_the_posterior_is_that_of_a_sum_over_every_path(
    leaving: list[Counts], right: bool, written: list[float], stated: list[int] | None, results: list[Counts] | None
) -> None:
    backed = (0.3, 0.1, 0.2)
    seen, rates = observed(leaving[::-1], right, written, leaving), Rates(hazard=1.3, repair=0.4, backed=backed)
    if stated is not None:
        seen = seen._replace(stated=np.array(stated), results=np.array(results))
    post = posterior(seen, rates)
    first_error, evidence, values = brute(seen, rates)
    assert post.first_error == pytest.approx(first_error, abs=1e-9)
    assert post.log_evidence == pytest.approx(log(evidence), abs=1e-9)
    found = [post.states[t].reshape(4, SIZE).sum(axis=0) @ GRID for t in range(3)]
    assert found == pytest.approx(values, abs=1e-9)


def test_results_that_half_of_thousands_of_rollouts_state_are_no_underflow() -> None:
    seen = observed([(2, 2), (0, 0), (0, 0)])._replace(results=np.array([(2000, 4000), NO_RESULT, (0, 4000)]))
    assert min(posterior(seen, Rates()).first_error) > 0


@settings(max_examples=60, deadline=None)
@given(observations(), some_rates)
def test_probabilities_are_probabilities(seen: Observed, rates: Rates) -> None:
    post = posterior(seen, rates)
    assert isclose(sum(post.first_error), 1.0, abs_tol=1e-9)
    assert all(p >= 0 for p in post.first_error)
    assert np.allclose(post.states.sum(axis=1), 1.0)
    for t in range(1, len(seen.written)):
        mean_, low, high = value_and_interval(post, t, rates.ends)
        assert 0 <= low <= high <= 1
        assert low - 0.05 <= mean_ <= high + 0.05
        inner_low, inner_high = value_and_interval(post, t, rates.ends, 0.5)[1:]
        assert low - 1e-9 <= inner_low <= inner_high <= high + 1e-9
        assert 0 <= information(post)[t] <= log(2) + 1e-9


def test_successes_after_a_step_clear_it_and_failures_after_it_convict() -> None:
    nothing = [(0, 0)] * STEPS
    before = posterior(observed(nothing), Rates()).first_error
    clear = posterior(observed([(6, 4), *nothing[1:4], (6, 1), *nothing[5:]]), Rates()).first_error
    assert sum(clear[:4]) < 0.3 * sum(before[:4])  # what is left are harmless errors
    lost = posterior(observed([(8, 2), *nothing[1:4], (0, 12), *nothing[5:]]), Rates()).first_error
    assert sum(lost[:4]) > 0.9
    both = posterior(observed([(8, 2), *nothing[1:3], (6, 1), (0, 12), *nothing[5:]]), Rates()).first_error
    assert both[3] > 0.7


def test_a_wrong_answer_leaves_a_small_chance_that_the_reference_is_wrong() -> None:
    post = posterior(observed([(9, 1)] * STEPS), Rates())
    assert post.first_error[STEPS] > 0.02
    assert max(post.first_error[:STEPS]) == post.first_error[STEPS - 1]  # every prefix succeeds: only the last is left


def test_a_right_solution_has_no_error() -> None:
    seen = observed([(2, 1), *[(0, 0)] * 7], right=True)
    assert posterior(seen, Rates()).first_error[STEPS] > 0.65
    assert posterior(seen, Rates(harmless=(0.0, 0.0))).first_error[STEPS] > 0.85


def test_a_right_answer_through_a_step_that_stands_out_is_flagged() -> None:
    written = [0.97, 0.97, 0.01, 0.97, 0.97]
    rates = Rates(hazard=5.0)
    post = posterior(observed([(3, 1), *[(0, 0)] * 4], right=True, written=written), rates)
    assert max(range(6), key=post.first_error.__getitem__) == 2
    assert classes_of(post, 2)[2] == "repaired"
    alike = posterior(observed([(3, 1), *[(0, 0)] * 4], right=True, written=[0.01] * 5), Rates())
    assert max(range(6), key=alike.first_error.__getitem__) == 5


def test_an_interval_that_ends_in_an_outer_cell_reaches_never_or_always() -> None:
    lost = posterior(observed([(8, 2), (0, 30), *[(0, 0)] * 3]), Rates())
    assert value_and_interval(lost, 1, 0.6)[1] == 0.0
    sure = posterior(observed([(60, 0)] * 4, right=True), Rates())
    assert value_and_interval(sure, 2, 0.6)[2] == 1.0
    assert value_and_interval(sure, 2, 0.6)[1] > 0.5
    assert value_and_interval(sure, 2, 0.0)[2] < 1.0


def test_a_step_that_the_policy_was_sure_of_cannot_lose_much() -> None:
    written = [0.95, 0.95, 0.05, 0.95, 0.95]
    post = posterior(observed([(3, 1), *[(0, 0)] * 4], written=written), Rates())
    assert max(range(5), key=post.first_error.__getitem__) == 2
    assert post.first_error[2] > 0.6


def test_in_free_text_the_probability_of_a_step_says_nothing() -> None:
    leaving = [(3, 1), (1, 2), (0, 2), (0, 0)]
    unknown = posterior(observed(leaving), Rates())
    free = posterior(observed(leaving, written=[1e-8, 1e-5, 1e-9, 1e-6]), Rates())
    assert free.first_error == pytest.approx(unknown.first_error, abs=1e-4)


def test_information_by_hand() -> None:
    post = posterior(observed([(8, 2), *[(0, 0)] * 7]), Rates())
    right, wrong = (float(chance[4]) for chance in chances(post))
    share = sum(post.first_error[:4])

    def entropy(p: float) -> float:
        return -p * log(p) - (1 - p) * log(1 - p)

    mixed = (1 - share) * right + share * wrong
    assert right > 0.5 > 0.2 > wrong
    assert information(post)[4] == pytest.approx(entropy(mixed) - (1 - share) * entropy(right) - share * entropy(wrong))
    sure = posterior(observed([(8, 2), (0, 40), *[(0, 0)] * 6]), Rates())
    assert information(sure)[4] < 0.02 < information(post)[4]


def test_a_false_equation_convicts_a_step_of_a_right_answer_where_errors_often_state_one() -> None:
    seen = observed([(3, 0), *[(0, 0)] * 3], right=True)._replace(stated=np.array([OTHER, OTHER, FALSE, OTHER]))
    often = posterior(seen, Rates(false=(0.005, 0.6, 0.1))).first_error
    seldom = posterior(seen, Rates()).first_error
    assert max(range(5), key=often.__getitem__) == 2
    assert seldom[2] < often[2] - 0.1
    assert seldom[2] > 5 * seldom[1]
