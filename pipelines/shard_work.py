"""One stage on one shard: read, do every row, commit. Knows files and the stages; knows nothing of Ray."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from filters import Corpus
from generators.policy import PromptedPolicy
from generators.problem_sets import ProblemSet, SourceItem
from labelers import AnyPart, ChangePoint
from labelers.rates import Rates
from pipelines.grading import PooledGrader
from pipelines.layout import Layout, ShardStage
from pipelines.ledger import ShardReport
from pipelines.plan import FAMILIES, ShardPlan, family_item
from pipelines.problem_files import open_problems
from pipelines.run_file import RunFile
from pipelines.shards import read_shard, write_shard
from pipelines.stages import Brought, Sifted, attempt_all, curate, label, solve, vet
from pipelines.version import VERSION, content_digest
from schemas.labeled import Cost, Failure, LabeledProblem, LabelerCost, Rejected
from schemas.problem import Problem
from schemas.record import Record
from schemas.rollout import Rollout, SolvedProblem


class ShardWork:
    """Everything a worker needs to do any stage on any shard of one run."""

    def __init__(self, run: RunFile, folder: Path, grader: PooledGrader, policy: PromptedPolicy | None) -> None:
        self.run = run
        self.layout = Layout(folder)
        self.grader = grader
        self.policy = policy
        """None on workers without an engine."""
        self._digest = content_digest(run)

    async def do(self, stage: ShardStage, shard: ShardPlan, corpus: Corpus, rates: Rates | None = None) -> ShardReport:
        """Do a stage on a shard and commit it; the report is in the shard's metadata too.

        Raises:
            EngineDead: the engine is gone and nothing of the shard was committed.
            RunFailed: the shard before it is damaged.
        """
        match stage:
            case "generate":
                return await asyncio.to_thread(self._generate, shard)
            case "vet":
                return await asyncio.to_thread(self._vet, shard, corpus)
            case "curate":
                return await asyncio.to_thread(self._curate, shard)
            case "solve":
                return await self._solve(shard)
            case "label":
                return await self._label(shard, rates)

    def _generate(self, shard: ShardPlan) -> ShardReport:
        began = time.monotonic()
        rejected: list[Rejected] = []
        brought: list[Brought] = []
        if shard.source == FAMILIES:
            problems = [family_item(self.run, i) for i in range(shard.start, shard.stop)]
        else:
            part = self.run.generate[shard.source]
            if not isinstance(part, ProblemSet):
                raise TypeError(f"source {shard.source} is not a problem set")
            problems = []
            for item in open_problems(part).rows(shard.start, shard.stop):
                if isinstance(item, Rejected):
                    rejected.append(item)
                else:
                    problems.append(item.problem)
                    brought.extend(_brought(item))
        if brought:
            write_shard(self.layout.brought(shard.index), brought, Brought, self._stamp("generate", shard))
        rows_in = shard.stop - shard.start
        return self._commit("generate", shard, problems, Problem, rows_in, began, rejected=rejected)

    async def _solve(self, shard: ShardPlan) -> ShardReport:
        began = time.monotonic()
        problems = await asyncio.to_thread(read_shard, self.layout.source("solve", shard.index), Problem)
        brought = await asyncio.to_thread(self._read_brought, shard)
        policy = self._policy()

        async def work(problem: Problem) -> SolvedProblem:
            own = brought.get(problem.id, [])
            return await solve(problem, own, policy, self.grader, n=self.run.solutions, seed=self.run.seed)

        done, failures = await attempt_all(problems, work, "solve", lambda problem: problem.id)
        rollouts = [r for row in done for r in row.rollouts if r.tokens or not brought]
        return await asyncio.to_thread(
            self._commit,
            "solve",
            shard,
            done,
            SolvedProblem,
            len(problems),
            began,
            failures=failures,
            rollouts=rollouts,
            cost=Cost.of(rollouts),
        )

    async def _label(self, shard: ShardPlan, rates: Rates | None) -> ShardReport:
        began = time.monotonic()
        rows = await asyncio.to_thread(read_shard, self.layout.source("label", shard.index), SolvedProblem)
        policy = self._policy()
        parts = [with_rates(part, rates) for part in self.run.label]

        async def work(row: SolvedProblem) -> LabeledProblem:
            return await label(row, parts, policy, self.grader, seed=self.run.seed)

        done, failures = await attempt_all(rows, work, "label", lambda row: row.problem.id)
        costs = _cost_by_labeler(done)
        return await asyncio.to_thread(
            self._commit,
            "label",
            shard,
            done,
            LabeledProblem,
            len(rows),
            began,
            failures=failures,
            rollouts=[r for row in done for r in (*row.evidence, *row.further)],
            cost=sum((entry.cost for entry in costs), Cost()),
            labelers=costs,
        )

    def _vet(self, shard: ShardPlan, corpus: Corpus) -> ShardReport:
        began = time.monotonic()
        rows = read_shard(self.layout.source("vet", shard.index), SolvedProblem)
        return self._commit_sifted("vet", shard, vet(rows, self.run.vet, corpus), SolvedProblem, began)

    def _curate(self, shard: ShardPlan) -> ShardReport:
        began = time.monotonic()
        rows = read_shard(self.layout.source("curate", shard.index), LabeledProblem)
        return self._commit_sifted("curate", shard, curate(rows, self.run.curate), LabeledProblem, began)

    def _commit_sifted(
        self, stage: ShardStage, shard: ShardPlan, sifted: Sifted, record: type[Record], began: float
    ) -> ShardReport:
        rows_in = len(sifted.kept) + len(sifted.rejected)
        return self._commit(stage, shard, sifted.kept, record, rows_in, began, rejected=sifted.rejected)

    def _commit(
        self,
        stage: ShardStage,
        shard: ShardPlan,
        rows: Sequence[Record],
        record: type[Record],
        rows_in: int,
        began: float,
        *,
        rejected: Sequence[Rejected] = (),
        failures: Sequence[Failure] = (),
        rollouts: Sequence[Rollout] = (),
        cost: Cost | None = None,
        labelers: tuple[LabelerCost, ...] = (),
    ) -> ShardReport:
        """Write what was set aside first and the shard last: its file is the proof that all of it is there."""
        report = ShardReport(
            stage=stage,
            shard=shard.index,
            rows_in=rows_in,
            rows_out=len(rows),
            rejected=dict(sorted(Counter(_cause(stage, r) for r in rejected).items())),
            failures=dict(sorted(Counter(f.error for f in failures).items())),
            seconds=round(time.monotonic() - began, 3),
            cost=cost or Cost(),
            labelers=labelers,
            outcomes=_outcomes(rollouts),
        )
        report.check()
        stamp = self._stamp(stage, shard)
        if rejected:
            write_shard(self.layout.rejected(stage, shard.index), rejected, Rejected, stamp)
        if failures:
            write_shard(self.layout.failures(stage, shard.index), failures, Failure, stamp)
        write_shard(
            self.layout.shard(stage, shard.index), rows, record, {**stamp, "report": report.model_dump(mode="json")}
        )
        return report

    def _stamp(self, stage: ShardStage, shard: ShardPlan) -> dict[str, str | int]:
        return {"run": self._digest, "seed": self.run.seed, "version": VERSION, "stage": stage, "shard": shard.index}

    def _read_brought(self, shard: ShardPlan) -> dict[str, list[Brought]]:
        path = self.layout.brought(shard.index)
        solutions: dict[str, list[Brought]] = {}
        for solution in read_shard(path, Brought) if path.exists() else []:
            solutions.setdefault(solution.problem_id, []).append(solution)
        return solutions

    def _policy(self) -> PromptedPolicy:
        if self.policy is None:
            raise RuntimeError("this worker has no engine")
        return self.policy


def with_rates(part: AnyPart, rates: Rates | None) -> AnyPart:
    """Return a labeler as it is, or with the rates pooled over the run."""
    if rates is None or not isinstance(part, ChangePoint) or not part.pilot:
        return part
    return part.model_copy(update={"rates": rates})


def _brought(item: SourceItem) -> list[Brought]:
    return [
        Brought(
            problem_id=item.problem.id,
            text=solution.text,
            steps=solution.cut(lambda text: (text,)) if solution.steps else (),
        )
        for solution in item.solutions
    ]


def _cause(stage: ShardStage, rejected: Rejected) -> str:
    """What a rejection is counted under: a malformed source row's own message is unlike any other's."""
    return rejected.filter if stage == "generate" else f"{rejected.filter}: {rejected.reason}"


def _cost_by_labeler(rows: Sequence[LabeledProblem]) -> tuple[LabelerCost, ...]:
    costs: dict[str, Cost] = {}
    for row in rows:
        for entry in row.costs:
            costs[entry.labeler] = costs.get(entry.labeler, Cost()) + entry.cost
    return tuple(LabelerCost(labeler=name, cost=cost) for name, cost in costs.items())


def _outcomes(rollouts: Sequence[Rollout]) -> dict[str, int]:
    counts: Counter[str] = Counter(r.outcome for r in rollouts)
    counts.update(f"finish {r.finish}" for r in rollouts if r.finish != "stop")
    return dict(sorted(counts.items()))
