"""The stages of a shard as one table: what each reads and writes, and what it does."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from stepforge.filters import Corpus, CurateFilter
from stepforge.generators.policies import Policies
from stepforge.generators.policy import PromptedPolicy
from stepforge.generators.problem_sets import SourceItem
from stepforge.generators.supplied import Brought
from stepforge.generators.written import Attempt, ModelSource, Refused
from stepforge.labelers.contracts import with_rates
from stepforge.pipelines.inputs.held_out import held_out_hits
from stepforge.pipelines.inputs.problem_files import FILTER
from stepforge.pipelines.run.model_sources import model_source, seeds_of
from stepforge.pipelines.run.stages import attempt_all, curate, label_by, solve_for, vet, warn_uncut
from stepforge.pipelines.run_folder.ledger import ShardReport, added
from stepforge.pipelines.run_folder.plan import ShardPlan, drawn_rows
from stepforge.pipelines.run_folder.watched import Watched, watched_labels, watched_solutions
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.filtered_shards import Kept, kept_rows, read_vetted
from stepforge.pipelines.storage.layout import ENGINE_STAGES, Layout, ShardStage
from stepforge.pipelines.storage.shards import read_shard, shard_metadata
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.labeled import (
    Cost,
    Failure,
    LabeledProblem,
    LabelerCost,
    Rejected,
    cost_by_labeler,
    summed_costs,
)
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Grader, Scorer
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Rollout, SolvedProblem

R = TypeVar("R", bound=Record)


class Task(NamedTuple):
    run: RunFile
    layout: Layout
    shard: ShardPlan
    digest: str
    """Of the run's settings: shards of other runs are not read."""
    grader: Grader
    corpus: Corpus
    rates: Record | None
    policies: Policies | None
    """None in stages without an engine."""
    scorer: Scorer | None = None

    @property
    def asked(self) -> Policies:
        if self.policies is None:
            raise RuntimeError("this worker has no engine")
        return self.policies


class Made(NamedTuple):
    """What a stage made of a shard; rows in = rows out + rejected + failures."""

    rows: Sequence[Record]
    rows_in: int
    rejected: Sequence[Rejected] = ()
    failures: Sequence[Failure] = ()
    rollouts: Sequence[Rollout] = ()
    cost: Cost = Cost()
    labelers: tuple[LabelerCost, ...] = ()
    policies: Mapping[str, Cost] = MappingProxyType({})
    """What each wrote, in a run with several."""
    watched: Watched = Watched()
    labeled_steps: int = 0
    brought: Sequence[Brought] = ()
    """Solutions supplied with the problems; they have their own file."""

    def report(self, stage: ShardStage, shard: int) -> ShardReport:
        """Raises RunFailed: rows are unaccounted for."""
        report = ShardReport(
            stage=stage,
            shard=shard,
            rows_in=self.rows_in,
            rows_out=len(self.rows),
            rejected=added([Counter(map(_cause, self.rejected))]),
            failures=added([Counter(failure.error for failure in self.failures)]),
            cost=self.cost,
            labelers=self.labelers,
            policies=dict(self.policies),
            outcomes=_outcomes(self.rollouts),
            watched=self.watched,
            labeled_steps=self.labeled_steps,
        )
        report.check()
        return report


class Stage(NamedTuple):
    writes: type[Record]
    work: Callable[[Task], Awaitable[Made]]


async def _generate(task: Task) -> Made:
    part = model_source(task.run, task.shard)
    if part is None:
        return _generated(task, await asyncio.to_thread(lambda: list(drawn_rows(task.run, task.shard))))

    async def work(row: int) -> tuple[int, Attempt]:
        seeds = await asyncio.to_thread(seeds_of, part, task.run.seed, row)
        if seeds is None:
            return row, Attempt(Refused("a bad seed"))
        return row, await part.make(row, seeds, task.asked.main, task.grader, seed=task.run.seed)

    rows = range(task.shard.start, task.shard.stop)
    done, failures = await attempt_all(rows, work, "generate", lambda row: f"{part.name}:{row}")
    items = [_refused(part, row, a.made) if isinstance(a.made, Refused) else a.made for row, a in done]
    return _generated(task, items)._replace(failures=failures, cost=sum((a.cost for _, a in done), Cost()))


def _refused(part: ModelSource, row: int, refused: Refused) -> Rejected:
    text = json.dumps({"text": refused.text}, ensure_ascii=False)
    return Rejected(problem_id=f"{part.name}:{row}", filter=part.kind, reason=refused.reason, row=text)


def _generated(task: Task, items: Sequence[SourceItem | Rejected]) -> Made:
    found = [item for item in items if isinstance(item, SourceItem)]
    return Made(
        [item.problem for item in found],
        task.shard.stop - task.shard.start,
        rejected=[item for item in items if isinstance(item, Rejected)],
        brought=[s.model_copy(update={"problem_id": i.problem.id}) for i in found for s in i.solutions],
    )


async def _solve(task: Task) -> Made:
    problems = await asyncio.to_thread(_read, task, "generate", Problem)
    brought = await asyncio.to_thread(_read_brought, task)

    async def work(problem: Problem) -> SolvedProblem:
        own = brought.get(problem.id, [])
        return await solve_for(
            task.run, problem, own, task.asked.solving(problem, supplied=bool(own)), task.grader, task.scorer
        )

    done, failures = await attempt_all(problems, work, "solve", lambda problem: problem.id)
    rollouts = [r for row in done for r in (*row.own, *row.rollouts) if r.tokens or not brought]
    searched = Cost(generated_tokens=sum(row.searched_tokens for row in done))
    warn_uncut(done, task.run.policy.segmenter.kind)
    watched = Watched() if brought else await asyncio.to_thread(watched_solutions, done)
    by_policy = [
        (task.asked.solving(row.problem, supplied=row.supplied), [r for r in (*row.rollouts, *row.own) if r.tokens])
        for row in done
    ]
    return Made(
        done,
        len(problems),
        failures=failures,
        rollouts=rollouts,
        cost=Cost.of(rollouts) + searched,
        policies=_by_policy(task.run, by_policy),
        watched=watched,
    )


def _vet(task: Task) -> Made:
    rows = _read(task, "solve", SolvedProblem)
    held_out = held_out_hits(task.run.vet, [row.problem for row in rows])
    sifted = vet(rows, task.run.vet, task.corpus.model_copy(update={"held_out": held_out}))
    return Made(kept_rows(rows, sifted.kept), len(rows), rejected=sifted.rejected)


async def _label(task: Task) -> Made:
    rows = await asyncio.to_thread(read_vetted, task.layout, task.shard.index)
    parts = [with_rates(part, task.rates) for part in task.run.label]

    async def work(row: SolvedProblem) -> LabeledProblem:
        return await label_by(task.asked, row, parts, task.grader, seed=task.run.seed, scorer=task.scorer)

    done, failures = await attempt_all(rows, work, "label", lambda row: row.problem.id)
    costs = cost_by_labeler(entry for row in done for entry in row.costs)
    by_policy = [
        (task.asked.completing(row.problem, supplied=row.supplied), (*row.evidence, *row.further)) for row in done
    ]
    return Made(
        done,
        len(rows),
        failures=failures,
        rollouts=[r for row in done for r in (*row.evidence, *row.further)],
        cost=sum(costs.values(), Cost()),
        labelers=tuple(LabelerCost(labeler=name, cost=cost) for name, cost in costs.items()),
        policies=_by_policy(task.run, by_policy),
        watched=await asyncio.to_thread(watched_labels, done),
    )


def _by_policy(run: RunFile, written: Iterable[tuple[PromptedPolicy, Sequence[Rollout]]]) -> dict[str, Cost]:
    if not run.policy.ways:
        return {}
    return summed_costs((policy.identity.model, Cost.of(rollouts)) for policy, rollouts in written)


def _curate(task: Task) -> Made:
    return curated(_read(task, "label", LabeledProblem), task.run.curate)


def curated(rows: Sequence[LabeledProblem], filters: Sequence[CurateFilter]) -> Made:
    sifted = curate(rows, filters)
    steps = sum(row.labeled_steps for row in sifted.kept)
    return Made(kept_rows(rows, sifted.kept), len(rows), rejected=sifted.rejected, labeled_steps=steps)


def _in_thread(work: Callable[[Task], Made]) -> Callable[[Task], Awaitable[Made]]:
    return lambda task: asyncio.to_thread(work, task)


STAGES: dict[ShardStage, Stage] = {
    "generate": Stage(Problem, _generate),
    "solve": Stage(SolvedProblem, _solve),
    "vet": Stage(Kept, _in_thread(_vet)),
    "label": Stage(LabeledProblem, _label),
    "curate": Stage(Kept, _in_thread(_curate)),
}


def needs_engine(run: RunFile, stage: ShardStage, shard: ShardPlan) -> bool:
    return stage in ENGINE_STAGES or (stage == "generate" and model_source(run, shard) is not None)


def _read(task: Task, stage: ShardStage, record: type[R]) -> list[R]:
    return read_shard(task.layout.shard(stage, task.shard.index), record, task.digest)


def _read_brought(task: Task) -> dict[str, list[Brought]]:
    index = task.shard.index
    path, source = task.layout.brought(index), task.layout.source("solve", index)
    expected = shard_metadata(source, task.digest).get("brought", 0)
    brought = read_shard(path, Brought, task.digest) if expected and path.exists() else []
    if len(brought) != expected:  # without them the solutions would be sampled instead
        raise RunFailed(f"{path}: {len(brought)} of {expected} supplied solutions; delete {source} and run again")
    solutions: dict[str, list[Brought]] = {}
    for solution in brought:
        solutions.setdefault(solution.problem_id, []).append(solution)
    return solutions


def _cause(rejected: Rejected) -> str:
    """Key under which a rejection is counted: messages of malformed source rows all differ."""
    return rejected.filter if rejected.filter == FILTER else f"{rejected.filter}: {rejected.reason}"


def _outcomes(rollouts: Sequence[Rollout]) -> dict[str, int]:
    counts: Counter[str] = Counter(r.outcome for r in rollouts)
    counts.update(f"finish {r.finish}" for r in rollouts if r.finish != "stop")
    return dict(sorted(counts.items()))
