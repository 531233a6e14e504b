"""Logic, plans and tools through all stages, without Ray: stored, labeled, judged by the oracle, calls answered."""

import asyncio
from pathlib import Path
from random import Random

import pytest
from fakes import NamedEngine
from run_files import a_run

from stepforge.filters import Corpus
from stepforge.labelers.oracle import oracle_verdict
from stepforge.pipelines.engines.gate import EngineGate
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.run.shard_work import Engines, ShardWork
from stepforge.pipelines.run_folder.plan import plan_shards
from stepforge.pipelines.storage.layout import Layout, ShardStage
from stepforge.pipelines.storage.shards import read_shard
from stepforge.pipelines.storage.store import write_text
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Completion, Prompt, Sampling

STAGES: tuple[ShardStage, ...] = ("generate", "solve", "vet", "label", "curate")


class Knowing(NamedEngine):
    """Goes on along the reference solution; from the question, now and then a first line of its own, and then lost."""

    def __init__(self) -> None:
        super().__init__("knowing")
        self.known: dict[str, str] = {}

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        question, _, written = prompt.text.partition("\n")
        whole = self.known[question]
        errs = not written and Random(seed).random() < 0.5
        rest = "nonsense = 1: so X\nAnswer: 0" if errs or not whole.startswith(written) else whole[len(written) :]
        ends = [rest.find(stop) for stop in sampling.stop if stop in rest]
        text = rest[: min(ends)] if ends else rest
        return Completion(text=text, finish="stop", tokens=len(text) + 1)


def test_a_run_of_the_domains_names_the_first_errors(tmp_path: Path) -> None:
    pytest.importorskip("z3")
    run = a_run(
        problems=9,
        solutions=4,
        rows_per_shard=9,
        generate=[{"kind": kind, "levels": [2]} for kind in ("logic", "plans", "tools")],
        policy={"answer": "stated", "tool": "calculator"},
        label=[{"kind": "omega_prm", "k": 4}],
    )
    layout, plan = Layout(tmp_path), plan_shards(run, tmp_path)
    write_text(layout.run_file, run.toml())

    async def work() -> None:
        engine = Knowing()
        gate = EngineGate(engine, 64)
        shards = ShardWork(run, tmp_path, PooledGrader(), Engines(gate))
        try:
            for stage in STAGES:
                await shards.do(stage, plan[0], Corpus())
                if stage == "generate":
                    problems = read_shard(layout.shard("generate", 0), Problem)
                    engine.known = {p.question: p.known_solution or "" for p in problems}
        finally:
            await shards.grader.close()
            await gate.close()

    asyncio.run(work())
    rows = read_shard(layout.shard("label", 0), LabeledProblem)
    assert {row.problem.domain for row in rows} == {"logic", "plans", "tools"}
    solutions = [(row.problem, solution) for row in rows for solution in row.solutions]
    assert {solution.rollout.outcome for _, solution in solutions} == {"correct", "wrong"}
    for problem, solution in solutions:
        assert solution.verdict.first_error == oracle_verdict(problem, solution.rollout).first_error
        tools = [step for step in solution.rollout.steps if step.author == "tool"]
        assert bool(tools) == ("<<" in solution.rollout.text)
    assert any(step.author == "tool" for _, solution in solutions for step in solution.rollout.steps)
