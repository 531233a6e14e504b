"""Logic, plans and tools through all stages, without Ray: stored, labeled, judged by the oracle, calls answered."""

from functools import cached_property
from pathlib import Path
from random import Random

import pytest
from fakes import NamedEngine
from run_files import a_run
from staged import staged

from stepforge.labelers.oracle import oracle_verdict
from stepforge.pipelines.storage.shards import read_shard
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Completion, Prompt, Sampling


class Knowing(NamedEngine):
    """Goes on along the reference solution; from the question, now and then a first line of its own, and then lost."""

    def __init__(self, problems: Path) -> None:
        super().__init__("knowing")
        self.problems = problems

    @cached_property
    def known(self) -> dict[str, str]:
        return {p.question: p.known_solution or "" for p in read_shard(self.problems, Problem)}

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
    layout, _ = staged(run, tmp_path, Knowing(tmp_path / "problems" / "part-00000.parquet"))
    rows = read_shard(layout.shard("label", 0), LabeledProblem)
    assert {row.problem.domain for row in rows} == {"logic", "plans", "tools"}
    solutions = [(row.problem, solution) for row in rows for solution in row.solutions]
    assert {solution.rollout.outcome for _, solution in solutions} == {"correct", "wrong"}
    for problem, solution in solutions:
        assert solution.verdict.first_error == oracle_verdict(problem, solution.rollout).first_error
        tools = [step for step in solution.rollout.steps if step.author == "tool"]
        assert bool(tools) == ("<<" in solution.rollout.text)
    assert any(step.author == "tool" for _, solution in solutions for step in solution.rollout.steps)
