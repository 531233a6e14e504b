"""How varied the problems of a run are."""

import pytest
from fakes import a_problem, a_solution, solved

from stepforge.pipelines.reports.diversity import Diversity
from stepforge.pipelines.reports.records import DiversityFigures
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, Verdict
from stepforge.schemas.rollout import Outcome, Step

TRIP = "Ann drives to the sea on 3 days of the week, and each time she pays {} coins at the gate. What does she pay?"


def labeled(name: str, question: str, text: str, outcome: Outcome = "correct", group: str = "g") -> LabeledProblem:
    rollout = a_solution(name, "a", outcome).model_copy(update={"steps": (Step(text=text),)})
    problem = a_problem(name).model_copy(update={"question": question, "group": group})
    verdict = Verdict(labeler="x", first_error=None)
    solution = LabeledSolution(rollout=rollout, labels=(None,), verdict=verdict)
    return LabeledProblem(problem=problem, solutions=(solution,), evidence=(), policy=solved().policy, costs=())


def test_templates_operations_and_near_copies_are_counted() -> None:
    found = Diversity()
    found.add(labeled("1", TRIP.format(4), "3 * 4 = 12"))
    found.add(labeled("2", TRIP.format(4).replace("sea", "lake"), "4 + 4 + 4 = 12"))
    found.add(labeled("3", TRIP.format(5), "3 * 5 = 15"))
    found.add(labeled("4", "How long is the side?", "9 - 1", "wrong", group="h"))
    figures = found.figures()
    assert (figures.problems, figures.groups, figures.largest_group) == (4, 2, 0.75)
    assert figures.operations == {"multiplication": 0.5, "addition": 0.25}  # wrong solutions tell nothing
    assert (figures.near_copies, figures.near_copies_but_for_numbers) == (0.0, 0.25)


def test_the_same_numbers_in_nearly_the_same_words_are_a_near_copy() -> None:
    found = Diversity()
    found.add(labeled("1", TRIP.format(4), "12"))
    found.add(labeled("2", "Today " + TRIP.format(4), "12"))
    assert found.figures().near_copies == pytest.approx(0.5)


def test_of_nothing_nothing_is_said() -> None:
    assert Diversity().figures() == DiversityFigures()
