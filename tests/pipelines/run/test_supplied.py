"""Supplied solutions in the solve stage, what a run needs to know of its problems first, and people's labels."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes import EqualGrader, a_problem
from run_files import a_run

from stepforge.filters import Corpus, Difficulty, Dropped
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.generators.segmenters import BlankLine
from stepforge.generators.supplied import Brought, LabelMismatch
from stepforge.labelers import MathShepherd
from stepforge.pipelines.engines.scripted_engine import ScriptedEngine
from stepforge.pipelines.engines.settings import ScriptedEngineSettings
from stepforge.pipelines.reports.label_audit import Audit
from stepforge.pipelines.reports.people import AgainstTruth, people_verdict
from stepforge.pipelines.run.preflight import preflight
from stepforge.pipelines.run.stages import label, solve, warn_uncut
from stepforge.pipelines.run_folder.plan import FAMILIES, plan_shards
from stepforge.pipelines.settings.run_file import RunFile, limited
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import LabeledProblem, Verdict
from stepforge.schemas.rollout import PeopleLabel, SolvedProblem

STEPS = ("one", "two", "three\n\nAnswer: 1")


def brought(*people: PeopleLabel | None) -> list[Brought]:
    return [Brought(problem_id="p", text="", steps=STEPS, people=said) for said in people]


def policy() -> PromptedPolicy:
    engine = ScriptedEngine(ScriptedEngineSettings(error_rate=0.5))
    return PromptedPolicy(engine, PolicySettings(answer="stated", segmenter=BlankLine()))


def solved(solutions: Sequence[Brought], *, pass_rate: bool = False) -> SolvedProblem:
    return asyncio.run(solve(a_problem(), solutions, policy(), EqualGrader(), n=3, seed=1, pass_rate=pass_rate))


def test_a_pass_rate_is_the_policys_own() -> None:
    row = solved(brought(None, None))
    assert (len(row.rollouts), row.own, row.pass_rate) == (2, (), None)
    assert [r.outcome for r in row.rollouts] == ["correct", "correct"]
    assert Difficulty()(row, Corpus()) == Dropped(reason="no rollout with a verdict")
    asked = solved(brought(None, None), pass_rate=True)
    assert len(asked.rollouts) == 2
    assert len(asked.own) == 3
    assert all(rollout.tokens for rollout in asked.own)
    right = sum(rollout.outcome == "correct" for rollout in asked.own)
    assert asked.pass_rate == right / 3
    assert asked.policy.model == "supplied"
    sampled = solved([], pass_rate=True)
    assert (len(sampled.rollouts), sampled.own) == (3, ())


def test_a_supplied_text_without_an_answer_may_have_been_cut_off() -> None:
    (rollout,) = solved([Brought(problem_id="p", text="", steps=STEPS[:2], people=None)]).rollouts
    assert (rollout.answer, rollout.outcome) == (None, "undetermined")


def test_a_label_of_more_steps_than_there_are_is_no_label() -> None:
    with pytest.raises(LabelMismatch, match="cut into 3"):
        solved(brought(PeopleLabel(first_error=3)))
    (rollout,) = solved([Brought(problem_id="p", text="a\n\nb", steps=(), people=PeopleLabel(error_start=3))]).rollouts
    assert rollout.people == PeopleLabel(first_error=1, error_start=3)


def labeled(*people: PeopleLabel | None, verdicts: Sequence[int | None]) -> LabeledProblem:
    """Return solutions with people's labels, and verdicts that a labeler gave without them."""
    row = asyncio.run(label(solved(brought(*people)), [MathShepherd(k=1)], policy(), EqualGrader(), seed=1))
    solutions = [
        solution.model_copy(update={"verdict": Verdict(labeler="mine", first_error=first)})
        for solution, first in zip(row.solutions, verdicts, strict=True)
    ]
    return row.model_copy(update={"solutions": tuple(solutions)})


def test_figures_against_people() -> None:
    no_error, second, third = PeopleLabel(), PeopleLabel(first_error=1), PeopleLabel(first_error=2)
    row = labeled(no_error, no_error, second, third, None, verdicts=(None, 0, 1, 1, 0))
    tally = AgainstTruth()
    tally.add_people(row, ["source: s"])
    figures = tally.figures()["mine"]
    assert figures.correct_solutions == 2
    assert figures.correct_solution_accuracy == 0.5
    assert figures.first_error_accuracy_all_erroneous == 0.5
    assert figures.by["source: s"].correct_solutions == 2
    assert figures.first_error_places == {"+0": 1, "-1": 1, "clean": 1, "false alarm": 1}
    audit = Audit()
    audit.add(row, [people_verdict(solution.rollout) for solution in row.solutions], [])
    whole = audit.figures()["all"]
    assert (whole.solutions, whole.steps_labeled_wrong, whole.steps_labeled_right) == (4, 3, 5)
    assert whole.of_these_right is not None
    assert whole.of_these_right.share == pytest.approx(2 / 3, abs=1e-4)
    nobody = AgainstTruth()
    nobody.add_people(labeled(None, verdicts=(0,)), [])
    assert nobody.figures() == {}


def test_no_labeler_sees_what_people_say() -> None:
    said = (PeopleLabel(first_error=0), PeopleLabel())
    rows = [
        asyncio.run(label(solved(brought(*people)), [MathShepherd(k=3)], policy(), EqualGrader(), seed=1))
        for people in (said, (None, None))
    ]
    assert [s.rollout.people for s in rows[0].solutions] == list(said)
    assert [s.labels for s in rows[0].solutions] == [s.labels for s in rows[1].solutions]
    assert [s.verdict for s in rows[0].solutions] == [s.verdict for s in rows[1].solutions]
    assert rows[0].evidence == rows[1].evidence


def test_ratings_are_classes_of_steps() -> None:
    (rollout,) = solved(brought(PeopleLabel(first_error=2, ratings=(1, None, -1)))).rollouts
    verdict = people_verdict(rollout)
    assert verdict is not None
    assert verdict.classes == ("right", "unknown", "wrong")


def supplied(path: Path, **settings: object) -> RunFile:
    source = {"kind": "problem_set", "path": str(path), **settings}
    return a_run(generate=[source], label=[{"kind": "math_shepherd"}])


def test_a_run_without_reference_answers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({"question": f"{i}?", "final_answer": None}) + "\n" for i in range(9)))
    said = (
        r'no problem has a reference answer \(no answer.*if there are answers: did you mean answer = "final_answer"\?$'
    )
    with pytest.raises(BadInput, match=said):
        preflight(supplied(path))
    with pytest.raises(BadInput, match="column 'final_answer' is empty in every row"):
        preflight(supplied(path, answer="final_answer"))
    run = supplied(path)
    voted = {**run.model_dump(), "vet": [{"kind": "self_consistency"}]}
    preflight(RunFile.model_validate(voted))
    preflight(RunFile.model_validate({**run.model_dump(), "label": [{"kind": "judge"}]}))


def test_problems_is_how_many_of_every_source(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({"question": f"{i}?", "answer": "1"}) + "\n" for i in range(600)))
    run = supplied(path, answer="answer").model_copy(update={"problems": None})

    def planned(run: RunFile) -> dict[int, int]:
        counts: dict[int, int] = {}
        for shard in plan_shards(run, tmp_path):
            counts[shard.source] = counts.get(shard.source, 0) + shard.stop - shard.start
        (tmp_path / "plan.json").unlink()
        return counts

    assert planned(run) == {0: 600}
    assert planned(run.model_copy(update={"problems": 8})) == {0: 8}
    assert planned(limited(run, 8)) == planned(limited(run.model_copy(update={"problems": 50}), 8)) == {0: 8}
    mixed = RunFile.model_validate(
        {**run.model_dump(), "generate": [{"kind": "quantities"}, *run.model_dump()["generate"]]}
    )
    assert planned(mixed) == {FAMILIES: 100, 1: 600}
    assert planned(mixed.model_copy(update={"problems": 30})) == {FAMILIES: 30, 1: 30}


def test_rows_beyond_what_is_asked_for_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"question": "a", "answer": "1"}\n{"question": "b", "answer": "2"}\nnot JSON\n')
    run = supplied(path, answer="answer")
    with pytest.raises(BadInput, match="row 3: not JSON"):
        preflight(run)
    preflight(limited(run, 2))


def test_long_solutions_of_one_step_are_warned_about_once(capsys: pytest.CaptureFixture[str]) -> None:
    long = [Brought(problem_id="p", text="a " * 400, steps=())]
    for _ in range(2):
        warn_uncut([solved(long)], "test_marker")
    warn_uncut([solved(brought(None))], "other")
    assert capsys.readouterr().err.count("warning: 1 of 1 solutions are over 600 characters and one step") == 1
