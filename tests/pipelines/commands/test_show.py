"""What ``stepforge show`` lists of a run, and what it says of one problem."""

import json
from pathlib import Path

import pytest
from command_line import invoked, refused
from small_run import small_run

from stepforge.pipelines.commands.show import Found, problem_text
from stepforge.pipelines.storage.layout import Layout, ShardStage
from stepforge.pipelines.storage.shards import read_shard, write_shard
from stepforge.schemas.labeled import Failure, LabeledProblem, Rejected
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem


@pytest.fixture
def run(tmp_path: Path) -> Layout:
    """A run of twelve problems: one that a filter dropped, one that failed, one with an abstention."""
    layout = small_run(tmp_path / "run", exports=["stepwise"])
    rows = read_shard(layout.shard("label", 0), LabeledProblem)
    dropped, failed = (row.problem.id for row in rows[:2])
    verdict = (
        rows[2].solutions[0].verdict.model_copy(update={"abstained": True, "reason": "too few", "first_error": None})
    )
    solution = rows[2].solutions[0].model_copy(update={"verdict": verdict})
    unsure = rows[2].model_copy(update={"solutions": (solution, *rows[2].solutions[1:])})
    rewrite(layout.shard("label", 0), [unsure, rows[3]], LabeledProblem, "label")
    rejected = Rejected(problem_id=dropped, filter="difficulty", reason="too hard", row="{}")
    rewrite(layout.rejected("vet", 0), [rejected], Rejected, "vet")
    failure = Failure(problem_id=failed, stage="label", error="ValueError", message="the words of the error")
    rewrite(layout.failures("label", 0), [failure], Failure, "label")
    return layout


def rewrite(path: Path, records: list[Record], record: type[Record], stage: ShardStage) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_shard(path, records, record, {"run": "x", "stage": stage, "shard": 0, "source": ""})


def shown(layout: Layout, *words: str) -> str:
    code, said = invoked("show", layout.folder, *words)
    assert code == 0, said
    return said


def listed(layout: Layout, *words: str) -> dict[str, dict[str, object]]:
    return {row["id"]: row for row in json.loads(shown(layout, *words, "--json"))}


def test_every_problem_is_listed_once_with_its_state(run: Layout) -> None:
    rows = listed(run)
    ids = [row.problem.id for i in range(3) for row in read_shard(run.shard("solve", i), SolvedProblem)]
    assert list(rows) == ids
    assert [row["state"] for row in rows.values()][:4] == ["rejected", "failed", "labeled", "labeled"]
    assert shown(run).count("\n") >= len(ids)


def test_filters_choose_problems_that_fit_at_least_one(run: Layout) -> None:
    ids = list(listed(run))
    assert list(listed(run, "--failed")) == ids[:2]
    assert list(listed(run, "--abstained")) == [ids[2]]
    assert list(listed(run, "--failed", "--abstained")) == ids[:3]
    assert set(listed(run, "--wrong")) <= set(ids[2:])
    assert ids[3] in listed(run, "--wrong")
    assert listed(run, "--disagree") == {}


def test_why_a_problem_was_lost_stands_in_the_list_and_on_its_page(run: Layout) -> None:
    dropped, failed, unsure = list(listed(run))[:3]
    assert "rejected in vet: difficulty: too hard" in shown(run, "--failed")
    assert "rejected in vet: difficulty: too hard" in shown(run, dropped)
    assert "failed in label: ValueError: the words of the error" in shown(run, failed)
    assert listed(run)[unsure]["why"] == "too few"
    assert json.loads(shown(run, failed, "--json"))["lost"]["how"] == "failed"


def test_steps_are_counted_from_one_for_people_and_from_zero_in_data(run: Layout) -> None:
    name = list(listed(run))[3]
    solution = json.loads(shown(run, name, "--json"))["LabeledProblem"]["solutions"][1]
    first = solution["verdict"]["first_error"]
    assert first is not None
    text = shown(run, name)
    assert f"math_shepherd: step {first + 1}" in text
    assert any(line.startswith(f"> {first + 1:2} ") for line in text.splitlines())


def test_a_problem_without_truth_does_not_mention_an_oracle(run: Layout) -> None:
    text = problem_text(Found(read_shard(run.shard("label", 0), LabeledProblem)[1], {}))
    assert "math_shepherd: step" in text
    assert "oracle" not in text
    assert "difficulty" not in text


def test_a_problem_that_is_not_there_is_one_line(run: Layout) -> None:
    assert "lists them" in refused("show", run.folder, "nowhere")
