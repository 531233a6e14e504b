"""Exports: columns as the consumers read them, labels from verdicts, pairs from evidence."""

import asyncio
from pathlib import Path

import pytest
from fakes import EqualGrader, KnownPolicy, a_solution, solved

from labelers import MathShepherd, OmegaPRM
from pipelines.datasets_out import split_of
from pipelines.exports import Preference, StepPreference, Stepwise
from pipelines.exports.evidence_tree import EvidenceTree
from schemas.arrow import to_table
from schemas.labeled import LabeledProblem

BAD = "ABCDEF"


def labeled(labeler: MathShepherd | OmegaPRM, *, error: int = 2, high: float = 0.9) -> LabeledProblem:
    broken = "".join(f"{letter}\n" for letter in BAD[: error + 1])
    policy = KnownPolicy(lambda prefix: 0.0 if prefix.startswith(broken) else high)
    row = solved(a_solution("good", "abc", "correct"), a_solution("bad", BAD, "wrong"))
    return asyncio.run(labeler(row, policy, EqualGrader(), seed=1))


def test_stepwise_labels_are_right_until_the_first_error_and_end_there() -> None:
    good, bad = Stepwise().rows(labeled(MathShepherd(k=8)))
    assert good.labels == (True, True, True)
    assert (good.first_error, good.final_answer_correct) == (-1, True)
    assert bad.completions == ("A", "B", "C")
    assert bad.labels == (True, True, False)
    assert bad.first_error == 2
    assert bad.trials == (8, 8, 8)
    assert bad.successes[2] == 0
    assert bad.values[2] == 0.0
    assert bad.high[2] == pytest.approx(0.3244, abs=1e-4)


def test_steps_behind_the_error_can_be_kept_as_wrong() -> None:
    _, bad = Stepwise(after_first_error="wrong").rows(labeled(OmegaPRM(k=8)))
    assert bad.labels == (True, True, False, False, False, False)


def test_labels_are_booleans_in_arrow() -> None:
    table = to_table(Stepwise().rows(labeled(OmegaPRM())), Stepwise.row)
    assert str(table.schema.field("labels").type) == "list<element: bool not null>"


def test_abstentions_are_not_exported() -> None:
    row = solved(a_solution("bad", BAD, "wrong"))
    problem = asyncio.run(OmegaPRM()(row, KnownPolicy(lambda prefix: 0.5), EqualGrader(), seed=1))
    assert list(Stepwise().rows(problem)) == []


def test_a_step_pair_shares_its_prefix_and_differs_in_one_step() -> None:
    problem = labeled(OmegaPRM(k=16))
    (pair,) = StepPreference().rows(problem)
    assert pair.prompt == "Q p?\nA\nB\n"
    assert pair.rejected == "C\n"
    assert pair.chosen == "x\n"
    assert pair.step == 2
    assert pair.margin > 0
    assert pair.rejected_value == 0.0


def test_overlapping_intervals_make_no_pair() -> None:
    problem = labeled(OmegaPRM(k=4), high=0.5)
    assert list(StepPreference(min_margin=0.3).rows(problem)) == []


def test_solution_pairs_are_right_against_wrong() -> None:
    (pair,) = Preference().rows(labeled(OmegaPRM()))
    assert (pair.chosen, pair.rejected) == ("a\nb\nc\n", "A\nB\nC\nD\nE\nF\n")
    assert pair.prompt == "Q p?\n"


def test_the_tree_knows_every_completion_by_its_prefix() -> None:
    problem = labeled(OmegaPRM(k=8))
    tree = EvidenceTree(problem)
    for rollout in problem.evidence:
        assert rollout.start is not None
        prefix = tree.steps[rollout.start.rollout][: rollout.start.steps]
        assert rollout in tree.completions("".join(step.text for step in prefix))
        assert tree.steps[rollout.id] == (*prefix, *rollout.steps)
    counts = tree.next_steps("A\nB\n")
    assert sum(label.trials for label in counts.values()) == 8


def test_splits_go_by_group_and_never_move() -> None:
    groups = [f"group-{i}" for i in range(2000)]
    tests = sum(split_of(group, 0.1) == "test" for group in groups)
    assert 140 < tests < 260
    assert all(split_of(g, 0.1) == split_of(g, 0.1) for g in groups)
    moved = [g for g in groups if split_of(g, 0.1) == "test" and split_of(g, 0.2) == "train"]
    assert not moved


def test_loads_with_datasets(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    from pipelines.shards import write_table

    table = to_table(Stepwise().rows(labeled(OmegaPRM())), Stepwise.row)
    write_table(tmp_path / "stepwise" / "train-00000-of-00001.parquet", table, {"rows": 2})
    rows = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "stepwise" / "*.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert rows.features["labels"].feature.dtype == "bool"
    assert rows[1]["labels"] == [True, True, False]
