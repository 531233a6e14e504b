"""A run with a reward model: a search by its scores, a cascade of labelers, and both in the books. Without Ray."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from fakes import a_solution
from run_files import a_run
from staged import staged

from stepforge.labelers.evidence.replay import stored_evidence
from stepforge.pipelines.exports import RejectionSampling, SearchTree
from stepforge.pipelines.run_folder.ledger import ShardReport
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import read_shard
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.protocols import EngineIdentity, StepScores
from stepforge.schemas.rollout import SolvedProblem


class _ByLength:
    """Doubts long steps, and cannot read a solution of more than twelve."""

    identity = EngineIdentity(model="length", digest="", engine="test", version="")

    async def score(self, question: str, solutions: Sequence[Sequence[str]]) -> list[StepScores]:
        return [
            StepScores(scores=tuple(0.9 if len(step) < 30 else 0.3 for step in steps), tokens=7)
            if len(steps) <= 12
            else StepScores(scores=(), error="too long")
            for steps in solutions
        ]

    async def close(self) -> None:
        return None


def _done(folder: Path, **changes: object) -> tuple[Layout, list[ShardReport]]:
    run = a_run(problems=5, solutions=3, policy={"answer": "stated"}, scorer={"kind": "surprise"}, **changes)
    return staged(run, folder, asyncio.run(run.engine.open()), _ByLength())


def test_a_cascade_in_a_run_is_scored_labeled_and_charged_by_tier(tmp_path: Path) -> None:
    label = [{"kind": "cascade", "sure": 0.6, "tiers": [{"kind": "change_point"}]}, {"kind": "reward_model"}]
    layout, reports = _done(tmp_path / "run", label=label, curate=[{"kind": "doubted", "least": 0.1}])
    rows = read_shard(layout.shard("label", 0), LabeledProblem)
    scored = [s.rollout for row in rows for s in row.solutions if s.rollout.scores]
    assert scored and all(len(r.scores) == len(r.steps) for r in scored)
    spent = {entry.labeler: entry.cost for entry in reports[3].labelers}
    assert spent["scorer"].prompt_tokens == 7 * len(scored)
    assert spent["cascade: change_point"].rollouts == sum(len(row.evidence) for row in rows) > 0
    assert [v.labeler for v in rows[0].solutions[0].others] == ["reward_model"]
    for row in rows:  # what is stored is enough to look again
        assert len(stored_evidence(row).rollouts) == len(row.evidence)
    again, _ = _done(tmp_path / "again", label=label, curate=[{"kind": "doubted", "least": 0.1}])
    assert again.shard("label", 0).read_bytes() == layout.shard("label", 0).read_bytes()


def test_searched_solutions_are_the_best_found_and_no_samples_of_the_policy(tmp_path: Path) -> None:
    solve = {"kind": "mcts", "simulations": 6}
    layout, reports = _done(tmp_path / "run", solve=solve, label=[{"kind": "math_shepherd", "k": 2}])
    rows = read_shard(layout.shard("solve", 0), SolvedProblem)
    assert all(len(row.rollouts) == 3 and row.policy.model.endswith(", searched") for row in rows)
    assert all(row.searched_tokens > 0 for row in rows)
    kept = sum(r.tokens for row in rows for r in row.rollouts)
    assert reports[1].cost.generated_tokens == kept + sum(row.searched_tokens for row in rows)
    labeled = read_shard(layout.shard("label", 0), LabeledProblem)
    assert all(solution.labels for row in labeled for solution in row.solutions)


def test_right_solutions_that_a_search_did_not_keep_flow_into_training_rows(tmp_path: Path) -> None:
    solve = {"kind": "mcts", "simulations": 6}
    layout, _ = _done(tmp_path / "run", solve=solve, label=[{"kind": "change_point", "budget": 0}])
    rows = read_shard(layout.shard("label", 0), LabeledProblem)
    assert all(len(row.solutions) == 3 and len(row.searched) == 3 for row in rows)
    other = a_solution("other", "XYZ", "correct")  # what the scripted engine finds right has one text
    plain = rows[0].problem.model_copy(update={"truth": None})
    found = rows[0].model_copy(update={"problem": plain, "searched": (*rows[0].searched, other)})
    taken = {row.completion: row.labeled for row in RejectionSampling(max_per_problem=9).rows(found)}
    assert taken["X\nY\nZ\n"] is False
    for row in rows:
        (tree,) = SearchTree().rows(row)
        assert {r.id for r in row.searched} <= {path.rollout for path in tree.paths}
        counted = tree.nodes[0].successes + tree.nodes[0].failures + tree.nodes[0].undetermined
        assert counted == len(row.solutions) + sum(not r.start or not r.start.steps for r in row.evidence)
