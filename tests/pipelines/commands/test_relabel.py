"""A run with fitted rates, and other rules over its evidence, end to end on the scripted engine."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from chaos import run
from command_line import data_bytes, invoked, refused
from run_files import a_run
from view_runs import a_view_run, labeled_rows

from stepforge.labelers import ChangePoint, Consensus, OmegaPRM
from stepforge.labelers.change_point.rates import Rates
from stepforge.labelers.oracle import oracle_verdict
from stepforge.labelers.people_rule import PeopleRule
from stepforge.labelers.rules import RULES, PosteriorRule
from stepforge.pipelines.commands.relabel import calibrated_by_people
from stepforge.pipelines.reports.people import in_half
from stepforge.pipelines.review.findings import add_findings
from stepforge.pipelines.run_folder.pooled_rates import settled
from stepforge.pipelines.storage.checksummed import read_checksummed
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import read_shard, shard_metadata, write_shard
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution
from stepforge.schemas.review import Finding, StepFinding
from stepforge.schemas.rollout import PeopleLabel

OMEGA, BOTH = OmegaPRM(grow=False), Consensus()
FEW = 40
"""Labels of people that are enough to calibrate on, in these tests."""
RUN = a_run(
    seed=3,
    problems=40,
    rows_per_shard=8,
    engine={"error_rate": 0.1, "recovery_rate": 0.05},
    policy={"answer": "stated"},
    generate=[{"kind": "sequence"}],
    vet=[{"kind": "difficulty", "min_pass_rate": 0.25}],
    label=[{"kind": "change_point", "fit_problems": 16}, {"kind": "omega_prm", "grow": False}, {"kind": "consensus"}],
    curate=[{"kind": "decided"}],
    export=[{"kind": "stepwise"}],
)


def run_again(folder: Path) -> None:
    run_file = folder.with_suffix(".toml")
    run_file.write_text(RUN.toml())
    run(run_file, folder)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("relabel")
    run_again(folder / "out")
    return folder / "out"


def rows(folder: Path) -> list[LabeledProblem]:
    return [row for path in Layout(folder).shards("label") for row in read_shard(path, LabeledProblem)]


def test_all_verdicts_stand_under_the_pooled_rates(done: Path) -> None:
    rates = Rates.model_validate(read_checksummed(done / "rates.json")["rates"])
    assert rates != Rates()
    rule = PosteriorRule(model=ChangePoint(rates=rates))
    checked = 0
    for row in rows(done):
        for solution in row.solutions:
            if solution.verdict.posterior is not None:
                expected = rule.view(row, solution).verdict
                assert solution.verdict.first_error == expected.first_error
                assert solution.verdict.posterior == pytest.approx(expected.posterior)
                checked += 1
    assert checked > 80


def test_only_the_first_shards_were_settled_afterwards(done: Path) -> None:
    settled = [bool(shard_metadata(path).get("settled")) for path in Layout(done).shards("label")]
    assert settled == [True, True, False, False, False]


def test_a_consensus_speaks_about_the_settled_verdicts(done: Path) -> None:
    for row in rows(done):
        for solution in row.solutions:
            ours, omega, both = (solution.verdict, *solution.others)
            agree = not ours.abstained and not omega.abstained and ours.first_error == omega.first_error
            assert both.abstained == (not agree)
            assert both.first_error == (ours.first_error if agree else None)


@pytest.mark.slow
def test_a_first_shard_that_was_labeled_and_not_settled_is_settled_by_the_next_run(done: Path, tmp_path: Path) -> None:
    again = tmp_path / "out"
    shutil.copytree(done, again)
    path = Layout(again).shard("label", 0)
    kept, metadata = read_shard(path, LabeledProblem), shard_metadata(path)
    del metadata["settled"]
    write_shard(
        path, [settled(row, (ChangePoint(), OMEGA, BOTH), ChangePoint()) for row in kept], LabeledProblem, metadata
    )
    assert [r.model_dump() for r in rows(again)] != [r.model_dump() for r in rows(done)]
    Layout(again).shard("curate", 0).unlink()
    run_again(again)
    assert [r.model_dump() for r in rows(again)] == [r.model_dump() for r in rows(done)]


@pytest.mark.parametrize("rule", sorted(set(RULES) - {"people"}))
def test_every_rule_relabels_and_leaves_the_run_alone(done: Path, rule: str) -> None:
    before = data_bytes(done), [r.model_dump_json() for r in rows(done)]
    code, said = invoked("relabel", done, "--rule", rule)
    assert code == 0, said
    target = done / "relabeled" / rule
    fresh = rows(target)
    assert {s.verdict.labeler for row in fresh for s in row.solutions} == {rule}
    assert all(len(s.targets) == len(s.rollout.steps) for row in fresh for s in row.solutions)
    report = json.loads((target / "report.json").read_text())
    assert report["cost"]["rollouts"] == 0
    assert next(iter(report["labelers"])) == rule
    decided = [s for row in fresh for s in row.solutions if not s.verdict.abstained]
    assert bool(decided) == (rule != "advantage")  # it needs every step measured, and change_point asks about few
    assert bool(report["audit"]) == bool(decided)
    assert (target / "datasets/stepwise").is_dir() == bool(decided)
    assert invoked("report", target)[0] == 0
    assert (data_bytes(done), [r.model_dump_json() for r in rows(done)]) == before


def test_the_card_carries_the_audit(done: Path) -> None:
    card = (done / "datasets/README.md").read_text()
    audit = json.loads((done / "report.json").read_text())["audit"]
    assert "## Label noise" in card
    for name, figures in audit.items():
        assert f"| {name} | {figures['solutions']} |" in card
    assert "| change_point |" in card


def test_an_unknown_rule_or_folder_is_one_line(done: Path, tmp_path: Path) -> None:
    for folder, rule, said in (
        (done, "softly", "--rule softly: no such rule; there are hard, soft"),
        (done, "people", "--rule people: there are no findings"),
        (tmp_path, "hard", "not a run folder"),
    ):
        assert said in refused("relabel", folder, "--rule", rule)


def test_labels_of_another_run_are_refused_before_anything_is_written(done: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(done, tmp_path / "out", ignore=shutil.ignore_patterns("relabeled")))
    path = Layout(folder).shards("label")[0]
    stamp = {**shard_metadata(path), "run": "another"}
    write_shard(path, read_shard(path, LabeledProblem), LabeledProblem, stamp)
    assert (
        f"{path}: damaged shard (it belongs to a run with other settings)"
        in invoked("relabel", folder, "--rule", "hard")[1]
    )
    assert not (folder / "relabeled").exists()


def test_a_data_set_of_a_part_of_the_run_says_so(done: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(done, tmp_path / "out", ignore=shutil.ignore_patterns("relabeled")))
    assert "warning" not in invoked("report", folder)[1]
    Layout(folder).shard("curate", 1).unlink()
    for words in (("report", folder), ("export", folder, "--only", "prm800k")):
        code, said = invoked(*words)
        assert (code, "warning: 4 of 5 shards are finished" in said) == (0, True), said
    Layout(folder).shard("label", 0).unlink()
    assert "part-00000.parquet: missing" in invoked("export", folder, "--only", "prm800k")[1]


def judged_by_people(row: LabeledProblem, *, first_half_only: bool) -> LabeledProblem:
    """Return a problem on which people say what the oracle says, in the second half perhaps that all is wrong."""
    solutions = []
    for solution in row.solutions:
        error = oracle_verdict(row.problem, solution.rollout).first_error
        said = PeopleLabel(first_error=0 if first_half_only and in_half(row.problem.group) else error)
        rollout = solution.rollout.model_copy(update={"people": said})
        solutions.append(solution.model_copy(update={"rollout": rollout}))
    return row.model_copy(update={"solutions": tuple(solutions)})


def test_half_of_peoples_labels_calibrate_and_the_other_half_is_not_looked_at(
    done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepforge.pipelines.commands.relabel.LEAST_LABELS", FEW)
    part, plain, nobody = ChangePoint(), rows(done), PeopleRule()
    while sum(len(row.solutions) for row in plain) > FEW + 8:
        plain.pop()
    judged = [[judged_by_people(row, first_half_only=half) for row in plain] for half in (False, True)]
    fitted = [calibrated_by_people(part, few, nobody) for few in judged]
    assert fitted[0].rates == fitted[1].rates
    assert fitted[0].rates != part.rates
    assert fitted[0].rates.model_copy(update={"harmless": part.rates.harmless}).moves == part.rates.moves
    assert calibrated_by_people(part, plain, nobody) == part
    assert calibrated_by_people(part, judged[0][:5], nobody) == part


def found(row: LabeledProblem, solution: LabeledSolution) -> list[StepFinding]:
    """Return the findings of a reviewer who knows the truth, up to the first wrong step."""
    steps = solution.rollout.steps
    error = oracle_verdict(row.problem, solution.rollout).first_error
    said: list[Finding] = ["right"] * len(steps) if error is None else [*["right"] * error, "wrong"]  # type: ignore[list-item]
    known = {"problem_id": row.problem.id, "solution_id": solution.rollout.id, "reviewer": "anna", "at": "now"}
    return [StepFinding.model_validate(known | {"step": i, "finding": one}) for i, one in enumerate(said)]


@pytest.fixture(scope="module")
def judged_rows() -> list[LabeledProblem]:
    return labeled_rows(12)


def relabeled_by(rule: str, folder: Path) -> dict[str, Any]:
    """Return the rule as it was fitted."""
    code, said = invoked("relabel", folder, "--rule", rule)
    assert code == 0, said
    fitted: dict[str, Any] = json.loads((folder / "relabeled" / rule / "rule.json").read_text())
    return fitted


def test_reviewers_findings_calibrate_like_labels_that_came_with_the_problems(
    judged_rows: list[LabeledProblem], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepforge.pipelines.commands.relabel.LEAST_LABELS", FEW)
    layout = a_view_run(tmp_path / "out", judged_rows)
    before = relabeled_by("posterior", tmp_path / "out")["model"]["rates"]
    add_findings(layout, [one for row in judged_rows for s in row.solutions for one in found(row, s)])
    after = relabeled_by("posterior", tmp_path / "out")["model"]["rates"]
    assert before["harmless"] != after["harmless"] and before["moves"] == after["moves"]
    few = PeopleRule(findings=tuple(one for row in judged_rows[:5] for s in row.solutions for one in found(row, s)))
    assert calibrated_by_people(ChangePoint(), judged_rows, few) == ChangePoint()


def test_a_consensus_hears_people(judged_rows: list[LabeledProblem], tmp_path: Path) -> None:
    layout = a_view_run(tmp_path / "out", judged_rows)
    add_findings(layout, [one for row in judged_rows for s in row.solutions for one in found(row, s)])
    for rule in ("agreement", "fusion"):
        relabeled_by(rule, tmp_path / "out")
        target = tmp_path / "out" / "relabeled" / rule
        right = [
            solution.verdict.first_error == oracle_verdict(row.problem, solution.rollout).first_error
            for row in rows(target)
            for solution in row.solutions
        ]
        assert sum(right) > 0.95 * len(right)
        assert json.loads((target / "report.json").read_text())["reviewed"]["solutions"] == len(right)
