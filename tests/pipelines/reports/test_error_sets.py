"""Sets of steps that hold people's first error: what they promise, also where posteriors are wrong."""

import asyncio
from random import Random

from fakes import EqualGrader, KnownPolicy, a_solution, solved

from stepforge.labelers import MathShepherd
from stepforge.pipelines.reports.people import ErrorSets, error_sets
from stepforge.pipelines.reports.sections import error_sets_text
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.rollout import PeopleLabel


def cases(count: int, seed: int, sharper: float) -> list[tuple[tuple[float, ...], int]]:
    """Posteriors of five steps and none, more sure of themselves than they should be by a power."""
    rng, found = Random(seed), []
    for _ in range(count):
        weights = [rng.random() ** 3 for _ in range(6)]
        truth = rng.choices(range(6), weights)[0]
        said = [w**sharper for w in weights]
        found.append((tuple(w / sum(said) for w in said), truth))
    return found


def test_sets_hold_the_truth_as_often_as_they_promise_even_of_posteriors_that_are_too_sure() -> None:
    for sharper in (1.0, 3.0):
        found = error_sets(cases(400, 1, sharper), cases(3000, 2, sharper))
        assert found is not None
        assert found.held is not None
        assert 0.87 < found.held.share < 0.93
        assert 1 < found.mean_size < 5
        assert "3000 solutions; 90% was the target, set on 400 others" in error_sets_text(found)


def test_few_labels_make_no_sets() -> None:
    assert error_sets(cases(40, 1, 1.0), cases(59, 2, 1.0)) is None
    assert error_sets(cases(5, 1, 1.0), cases(95, 2, 1.0)).least_posterior == 0.0  # type: ignore[union-attr]


def judged_row(group: int) -> LabeledProblem:
    good, bad = a_solution("good", "ab", "correct"), a_solution("bad", "AB", "wrong")
    row = solved(good, bad.model_copy(update={"people": PeopleLabel(first_error=1)}))
    labeled = asyncio.run(MathShepherd(k=1)(row, KnownPolicy(lambda prefix: 0.5), EqualGrader(), seed=group))
    verdict = labeled.solutions[1].verdict.model_copy(update={"posterior": (0.2, 0.7, 0.1)})
    solutions = (labeled.solutions[0], labeled.solutions[1].model_copy(update={"verdict": verdict}))
    problem = labeled.problem.model_copy(update={"group": str(group)})
    return labeled.model_copy(update={"problem": problem, "solutions": solutions})


def test_only_solutions_that_people_judged_count() -> None:
    sets = ErrorSets()
    for group in range(120):
        sets.add(judged_row(group))
    (found,) = sets.figures().values()
    assert found.calibrated_on + found.measured_on == 120
    assert found.held is not None
    assert (found.held.share, found.mean_size, found.least_posterior) == (1.0, 1.0, 0.7)
    assert ErrorSets().figures() == {}
