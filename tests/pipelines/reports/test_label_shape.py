"""What labels look like, and the solutions that are shown, against numbers worked by hand."""

from fakes import IDENTITY, a_problem, a_solution, verdict_of
from judgments import TRUTH

from stepforge.pipelines.reports.examples import CHOSEN, KINDS, Choice
from stepforge.pipelines.reports.label_shape import ShapeTally
from stepforge.schemas.interval import share_of
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, StepLabel, Verdict
from stepforge.schemas.rollout import Outcome, Rollout, Start

RIGHT = Verdict(labeler="oracle", first_error=None, classes=("right", "right"))
WRONG = Verdict(labeler="oracle", first_error=1, classes=("right", "wrong"))


def sure(error: int | None, posterior: tuple[float, ...], labeler: str = "x") -> Verdict:
    return Verdict(labeler=labeler, first_error=error, posterior=posterior)


def row(name: str, *solutions: LabeledSolution, further: tuple[Rollout, ...] = ()) -> LabeledProblem:
    problem = a_problem(name).model_copy(update={"truth": TRUTH})
    return LabeledProblem(problem=problem, solutions=solutions, evidence=(), policy=IDENTITY, costs=(), further=further)


def a_labeled(
    name: str, verdict: Verdict, *others: Verdict, outcome: Outcome = "wrong", counts: tuple[int, int] | None = (1, 3)
) -> LabeledSolution:
    labels = (StepLabel(successes=counts[0], failures=counts[1]) if counts else None, None)
    return LabeledSolution(rollout=a_solution(name, "ab", outcome), labels=labels, verdict=verdict, others=others)


def test_steps_values_and_places() -> None:
    tally = ShapeTally()
    tally.add(
        row(
            "p",
            a_labeled("s1", verdict_of("x", 0)),
            a_labeled("s2", verdict_of("x", None), outcome="correct", counts=(4, 0)),
            a_labeled("s3", verdict_of("x", abstained=True)),
        ),
        [WRONG, RIGHT, WRONG],
    )
    found = tally.figures()
    assert found.steps == {"right": 2, "wrong": 1, "after an error": 1, "no verdict": 2}
    assert found.solutions == {"wrong, wrong step": 1, "correct, no wrong step": 1, "wrong, abstained": 1}
    assert [(b.low, b.steps) for b in found.values] == [(0.2, 2), (0.9, 1)]
    assert [(p.step, p.labeled, p.true) for p in found.positions] == [(1, 1, 0), (2, 0, 2)]


def test_agreement_and_calibration() -> None:
    tally = ShapeTally()
    tally.add(
        row(
            "p",
            a_labeled("s1", sure(1, (0.1, 0.85, 0.05)), verdict_of("y", 1)),
            a_labeled("s2", sure(0, (0.85, 0.1, 0.05)), verdict_of("y", 1)),
            a_labeled("s3", sure(None, (0.2, 0.2, 0.6)), verdict_of("y", None), outcome="correct"),
            a_labeled("s4", sure(None, (0.2, 0.2, 0.6)), verdict_of("y", abstained=True), outcome="undetermined"),
        ),
        [WRONG, WRONG, RIGHT, RIGHT],
    )
    found = tally.figures()
    (pair,) = found.agreement
    assert (pair.both_decide, pair.same, pair.either_finds_error, pair.same_step) == (
        3,
        share_of(2, 3),
        2,
        share_of(1, 2),
    )
    (one,) = found.calibration
    assert (one.labeler, one.truth, one.verdicts) == ("x", "oracle", 3)
    assert [(b.low, b.verdicts, b.right.share) for b in one.bins] == [(0.6, 1, 1.0), (0.8, 2, 0.5)]
    assert abs(one.mean_gap - (0.4 + 2 * 0.35) / 3) < 1e-4


def test_held_out_completions_meet_the_value_of_their_prefix() -> None:
    drawn = [a_solution(f"c{i}", "b", outcome) for i, outcome in enumerate(("correct", "wrong", "undetermined"))]
    starts = [c.model_copy(update={"start": Start(rollout="s1", steps=1)}) for c in drawn]
    unknown = drawn[0].model_copy(update={"start": Start(rollout="s1", steps=2)})
    tally = ShapeTally()
    tally.add_held_out(row("p", a_labeled("s1", verdict_of("x", 1)), further=(*starts, unknown)))
    (found,) = tally.figures().held_out
    assert (found.low, found.completions, found.mean_value, found.ended_right) == (0.2, 2, 0.25, share_of(1, 2))


def test_twenty_are_chosen_of_every_kind_and_no_problem_twice() -> None:
    choice = Choice()
    repaired = Verdict(labeler="x", first_error=0, classes=("repaired", "right"))
    for i in range(60):
        p = i / 100
        choice.add(0, i, row(f"sure-{i}", a_labeled("s", sure(1, (0.0, 1 - p, p)))), [WRONG])
        odd = a_labeled("s", verdict_of("x", None), outcome="correct", counts=None)
        apart = a_labeled("s", verdict_of("x", 0), verdict_of("y", 1), counts=None)
        choice.add(1, i, row(f"odd-{i}", odd), [WRONG])
        choice.add(2, i, row(f"apart-{i}", apart), [WRONG])
    choice.add(3, 0, row("fixed", a_labeled("s", repaired)), [WRONG])
    choice.add(3, 1, row("none", a_labeled("s", verdict_of("x", abstained=True))), [WRONG])
    chosen = choice.chosen()
    assert len({one.problem_id for one in chosen}) == len(chosen) == CHOSEN
    kinds = [one.why for one in chosen]
    assert (kinds.count("repaired"), kinds.count("failed")) == (1, 1)
    assert all(kinds.count(kind) >= KINDS[kind] for kind in KINDS if kind not in ("repaired", "failed"))
    assert "sure-0" in {one.problem_id for one in chosen if one.why == "surest"}
    assert "sure-59" in {one.problem_id for one in chosen if one.why == "least sure"}


def test_a_small_run_shows_every_solution_once() -> None:
    choice = Choice()
    choice.add(
        0, 0, row("p", *(a_labeled(f"s{i}", verdict_of("x", 0), verdict_of("y", 1)) for i in range(3))), [WRONG] * 3
    )
    assert [one.solution for one in sorted(choice.chosen(), key=lambda one: one.solution)] == [0, 1, 2]


def test_without_a_posterior_counts_say_how_sure_a_label_is() -> None:
    choice = Choice()
    for name, counts in (("few", (0, 1)), ("many", (0, 50))):
        choice.add(0, 0, row(name, a_labeled("s", verdict_of("x", 0), counts=counts)), [WRONG])
    choice.add(0, 1, row("clean", a_labeled("s", verdict_of("x"), outcome="correct", counts=(9, 1))), [RIGHT])
    chosen = choice.chosen()
    assert [one.problem_id for one in chosen if one.why == "surest"] == ["many", "few", "clean"]
