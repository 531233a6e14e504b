"""Pairs across rounds: the same question, two policies."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from run_files import a_run
from scripted_rows import curated_run, scripted_rows

from stepforge.labelers import MathShepherd
from stepforge.pipelines.commands.cross_rounds import cross_round_pairs
from stepforge.pipelines.commands.rounds import run_rounds
from stepforge.schemas.labeled import LabeledProblem

PARTS = [MathShepherd(k=1)]
EARLY = scripted_rows(PARTS, 7, error_rate=0.3)
LATE = scripted_rows(PARTS, 7, error_rate=0.02)


def _texts(rows: list[LabeledProblem], problem: str, outcome: str) -> set[str]:
    (row,) = (row for row in rows if row.problem.id == problem)
    return {s.rollout.text for s in row.solutions if s.rollout.outcome == outcome}


def test_the_right_side_is_of_another_round_than_the_wrong_one(tmp_path: Path) -> None:
    curated_run(tmp_path / "round-01", EARLY, [])
    curated_run(tmp_path / "round-02", LATE, [])
    pairs = list(cross_round_pairs([tmp_path / "round-01", tmp_path / "round-02"]))
    assert pairs and any(pair.chosen_round == 2 for pair in pairs)
    rounds = {1: EARLY, 2: LATE}
    for pair in pairs:
        assert pair.chosen_round != pair.rejected_round
        assert pair.chosen in _texts(rounds[pair.chosen_round], pair.problem_id, "correct")
        assert pair.rejected in _texts(rounds[pair.rejected_round], pair.problem_id, "wrong")
    counts = [sum(pair.problem_id == row.problem.id for pair in pairs) for row in EARLY]
    assert max(counts) <= 2


def test_rounds_on_the_same_problems_write_their_pairs(tmp_path: Path) -> None:
    trainer = "import pathlib, sys; pathlib.Path(sys.argv[1], 'config.json').touch()"
    train = {"command": ["{python}", "-c", trainer, "{out}"], "same_problems": True}
    settings = a_run(engine={"kind": "transformers"}, export=[{"kind": "preference"}], train=train)
    seeds = []

    def run_all(run: Any, folder: Path) -> Any:
        seeds.append(run.seed)
        curated_run(folder, EARLY if len(seeds) == 1 else LATE, [])
        return SimpleNamespace(stages={}, labelers={}, cost=SimpleNamespace(generated_tokens=0), exports={})

    first, second = run_rounds(settings, tmp_path, 2, run_all)
    lines = (tmp_path / "cross_round_pairs.jsonl").read_text().splitlines()
    assert len(set(seeds)) == 1
    assert (first.cross_round_pairs, second.cross_round_pairs) == (0, len(lines))
    assert set(json.loads(lines[0])) >= {"prompt", "chosen", "rejected", "chosen_round", "rejected_round"}
