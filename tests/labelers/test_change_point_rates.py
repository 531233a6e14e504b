"""Rates pooled from a run, calibration, and intervals that cover what they promise."""

from math import comb, isclose
from statistics import mean

import numpy as np
import pytest
from change_point_worlds import many, observed, simulated

from stepforge.labelers.change_point.model import RIGHT, posterior
from stepforge.labelers.change_point.pooling import calibrated, pooled_rates
from stepforge.labelers.change_point.rates import FALSE, UNKNOWN, OfSteps, Rates
from stepforge.labelers.change_point.values import foretold, value_and_interval, weights_of


def test_intervals_cover_what_they_promise() -> None:
    inside = []
    for drawn in many():
        post = posterior(drawn.seen, Rates(hazard=1.5))
        for t, v in enumerate(drawn.values):
            _, low, high = value_and_interval(post, t, 0.6)
            inside.append(low <= v <= high)
    assert 0.86 <= mean(inside) <= 0.96


def test_the_posterior_is_as_sure_as_it_is_right() -> None:
    beliefs = [(posterior(drawn.seen, Rates(hazard=1.5)).first_error, drawn.error) for drawn in many()]
    said = mean(max(shares) for shares, _ in beliefs)
    assert said == pytest.approx(mean(shares.index(max(shares)) == error for shares, error in beliefs), abs=0.05)


def test_pooled_rates_go_from_the_defaults_to_the_truth_and_explain_more() -> None:
    truth = Rates(hazard=2.5, repair=0.6)
    rng = np.random.default_rng(5)
    seen = [simulated(rng, truth, steps=6, root=8, each=4).seen for _ in range(150)]
    found = pooled_rates(seen, Rates())
    assert abs(found.hazard - truth.hazard) < abs(Rates().hazard - truth.hazard) / 2
    assert abs(found.repair - truth.repair) < abs(Rates().repair - truth.repair) / 1.5
    before, after = (sum(posterior(s, r).log_evidence for s in seen) for r in (Rates(), found))
    assert after > before
    assert all(isclose(sum(shares), 1.0) for shares in (found.moves, found.drops))


@pytest.mark.parametrize("alike", [True, False])
def test_what_right_and_wrong_steps_state_is_learned_without_truth(alike: bool) -> None:
    """Of right solutions that are alike; where they are not, false equations and results count."""
    backed: OfSteps = (0.9, 0.1, 0.2) if alike else (0.3, 0.05, 0.05)
    alone: OfSteps = (0.3, 0.8, 0.5) if alike else (0.65, 0.85, 0.7)
    lasting = Rates(repair=0.01, harmless=(0.0, 0.0))  # what comes after an error is lost
    said = {
        "false": (0.005, 0.4, 0.1),
        "nothing": (0.3, 0.1, 0.5),
        "backed": backed,
        "alone": alone,
    }
    truth = lasting.model_copy(update={"hazard": 1.5, **said})
    rng = np.random.default_rng(5)
    drawn = [simulated(rng, truth, steps=6, root=8, each=4) for _ in range(150)]
    kinds = [np.array([0 if t < d.error else 1 if t == d.error else 2 for t in range(6)]) for d in drawn]
    seen = [
        d.seen._replace(
            stated=np.array([rng.choice(5, p=truth.statements[k, :5]) for k in kind]), results=np.array([(1, 2)] * 6)
        )
        for d, kind in zip(drawn, kinds, strict=True)
    ]
    found = pooled_rates(seen, lasting)
    assert found.false == pytest.approx(truth.false, abs=0.1)
    if alike:
        assert found.nothing == pytest.approx(truth.nothing, abs=0.12)  # pulled towards the defaults
        assert found.alone == pytest.approx(truth.alone, abs=0.15)
        assert found.backed == pytest.approx(truth.backed, abs=0.1)
        assert all(len(set(shares)) == 1 for shares in (found.results, found.confirmed))
        assert found.temper == 1.0
    else:
        assert all(len(set(shares)) == 1 for shares in (found.nothing, found.alone, found.backed))
        assert (found.results, found.confirmed) == (lasting.results, lasting.confirmed)
        assert found.temper < 1.0
        assert pooled_rates(seen, lasting, siblings=False).temper == 1.0
        few = [one if i < 50 else one._replace(stated=None, results=None) for i, one in enumerate(seen)]
        assert pooled_rates(few, lasting).temper == 1.0  # the others are in plain wording
    assert pooled_rates([d.seen for d in drawn], Rates()).alone == Rates().alone


def test_completions_that_were_held_out_tell_whether_v_lies_at_its_ends() -> None:
    always = [observed([(9, 1), (9, 1), (0, 30), (0, 30), (0, 30)])] * 20
    seldom = [observed([(9, 1), (9, 1), (1, 59), (1, 59), (1, 59)])] * 20
    found = [pooled_rates(seen, Rates()).ends for seen in (always, seldom)]
    assert found[0] >= 0.9 > 0.3 >= found[1]


def test_what_is_foretold_of_all_counts_sums_to_one() -> None:
    weights = weights_of(posterior(many()[0].seen, Rates()), 3)
    for ends in (0.0, 0.6, 0.95):
        assert sum(comb(9, c) * foretold(weights, c, 9 - c, ends) for c in range(10)) == pytest.approx(1.0)


def test_nothing_seen_leaves_the_rates_as_they_were() -> None:
    assert pooled_rates([], Rates()) == Rates()


def test_known_first_errors_calibrate_what_is_said() -> None:
    """V falls at step 3 of 6; in half of the solutions the first error is step 1 and did no harm at first."""
    seen = [observed([(9, 1), (9, 1), (9, 1), (0, 9), (0, 9), (0, 9)])] * 20
    third, first = np.eye(7)[2], np.eye(7)[0]
    clear, mixed = calibrated(seen, [third] * 20, Rates()), calibrated(seen, [third, first] * 10, Rates())
    said = {name: posterior(seen[0], r).first_error for name, r in (("c", clear), ("m", mixed))}
    assert said["c"][2] > 0.9
    assert 0.3 < said["m"][2] < 0.7
    assert said["m"][0] > 0.15
    assert (clear.harmless[0], clear.early) == (0.0, 0.0)


def test_v_may_fall_before_the_wrong_step_and_then_a_false_equation_tells_which_it_was() -> None:
    seen = observed([(9, 1), (9, 1), (9, 1), (9, 1), (0, 9)])
    at_once, early = (posterior(seen, Rates(early=share)).first_error for share in (0.0, 0.3))
    assert at_once[4] < 0.05
    assert early[3] > early[4] > 0.1
    false_next = seen._replace(stated=np.array([UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, FALSE]))
    assert posterior(false_next, Rates(early=0.3)).first_error[4] > 2.5 * early[4]
    together = seen._replace(stated=np.array([UNKNOWN, UNKNOWN, UNKNOWN, FALSE, UNKNOWN]))
    assert posterior(together, Rates(early=0.3)).first_error[3] > early[3] + 0.05


def test_v_hardly_falls_early_at_the_start_of_a_solution() -> None:
    falls = [posterior(observed([(9, 1)] * t + [(0, 9)] * (5 - t)), Rates()).first_error for t in (1, 4)]
    assert 1.5 * falls[0][1] < falls[1][4]


def test_v_does_not_fall_early_where_the_policy_was_sure_of_its_steps() -> None:
    counts = [(9, 1), (9, 1), (9, 1), (9, 1), (0, 9)]
    unsure, sure = (observed(counts, written=[q] * 5) for q in (0.0, 0.6))
    gains = [posterior(s, Rates()).first_error[4] - posterior(s, Rates(early=0)).first_error[4] for s in (unsure, sure)]
    assert gains[0] > 0.03 > 2 * gains[1]


def test_v_that_fell_is_no_error_where_the_answer_is_right() -> None:
    seen = observed([(9, 1), (0, 9), (0, 9)], right=True)
    none = [posterior(seen, Rates(early=share)).first_error[-1] for share in (0.0, 0.3)]
    assert none[1] > none[0]


def test_pooled_rates_are_the_same_in_any_order_of_solutions_up_to_rounding() -> None:
    seen = [drawn.seen for drawn in many()[:40]]
    forward, backward = pooled_rates(seen, Rates()), pooled_rates(seen[::-1], Rates())
    assert forward.hazard == pytest.approx(backward.hazard, rel=1e-6)
    assert forward.moves == pytest.approx(backward.moves, abs=1e-6)


def test_the_first_regime_is_where_every_solution_starts() -> None:
    post = posterior(observed([(1, 1)] * 3), Rates())
    assert post.states[0, RIGHT].sum() == pytest.approx(1.0)
