"""Clocks, counters and states of runs, as progress is told of them."""

from collections.abc import Sequence

from run_files import a_run

from stepforge.pipelines.progress.engine_meter import EngineMeter
from stepforge.pipelines.progress.snapshot import EngineProgress, Snapshot, Speed
from stepforge.pipelines.run_folder.ledger import ShardReport, StageTotal
from stepforge.pipelines.run_folder.plan import FAMILIES, ShardPlan
from stepforge.pipelines.storage.layout import SHARD_STAGES, ShardStage
from stepforge.schemas.labeled import Cost

RUN = a_run(generate=[{"kind": "sequence"}])


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def counters(rollouts: int, *, busy: float = 0.0, **more: int) -> dict[str, int]:
    tokens = {"generated_tokens": 10 * rollouts, "prompt_tokens": 40 * rollouts, "cached_tokens": 10 * rollouts}
    return {"rollouts": rollouts, **tokens, "busy_ms": int(busy * 1000), "running": 3, **more}


def fed(meter: EngineMeter, clock: Clock, *steps: tuple[float, Sequence[dict[str, int]]]) -> EngineMeter:
    for seconds, answers in steps:
        clock.now += seconds
        meter.take(answers)
    return meter


# The estimated end


def shard_plan(count: int) -> list[ShardPlan]:
    return [ShardPlan(index=i, source=FAMILIES, start=10 * i, stop=10 * i + 10) for i in range(count)]


def report(stage: ShardStage, shard: int, rollouts: int = 0, rows: int = 10) -> ShardReport:
    cost = Cost(rollouts=rollouts, generated_tokens=10 * rollouts)
    return ShardReport(stage=stage, shard=shard, rows_in=rows, rows_out=rows, cost=cost)


# The views


def snapshot(**more: object) -> Snapshot:
    stages = {stage: StageTotal(shards=4) for stage in SHARD_STAGES}
    stages["vet"] = StageTotal(shards=4, rows_in=40, rows_out=33, rejected={"difficulty: too hard": 7})
    stages["label"] = StageTotal(shards=2, rows_in=20, rows_out=19, failures={"TimeoutError": 1})
    engine = EngineProgress(
        engines=2,
        answering=1,
        rollouts=10,
        prompt_tokens=100,
        cached_tokens=63,
        cancelled=1234,
        running=96,
        waiting=7,
        capacity=512,
        busy=0.98,
        recent=Speed(rollouts=41.2, tokens=4210),
        mean=Speed(rollouts=38, tokens=3980),
    )
    settings = {
        "written": 1000.0,
        "elapsed": 75.0,
        "shards": 4,
        "stages": stages,
        "engine": engine,
        "seconds_left": 4000,
    }
    return Snapshot.model_validate(settings | more)
