"""Speeds and the time that is left, from what was counted."""

import pytest
from run_states import Clock, counters, fed, report, shard_plan

from stepforge.pipelines.progress.engine_meter import EngineMeter, Pace
from stepforge.pipelines.progress.snapshot import EngineProgress, Speed
from stepforge.pipelines.storage.layout import SHARD_STAGES

# The engines' counters


def test_speeds_begin_with_the_first_completion_and_look_back_a_minute() -> None:
    clock = Clock()
    meter = fed(EngineMeter(clock), clock, (0, [{}]), (300, [counters(0)]))  # five minutes to load a model
    assert meter.figures().mean is None
    fed(meter, clock, *((10, [counters(100 * i, busy=10 * i)]) for i in range(1, 13)))
    slow = fed(meter, clock, *((10, [counters(1200 + 20 * i, busy=120 + 5 * i)]) for i in range(1, 7))).figures()
    assert slow.mean == Speed(rollouts=1320 / 180, tokens=13_200 / 180)
    assert slow.recent == Speed(rollouts=2.0, tokens=20.0)
    assert slow.busy == pytest.approx(0.5)
    assert slow.cached_share == 0.25


def test_the_recent_past_is_longer_where_little_happens() -> None:
    clock = Clock()
    meter = fed(EngineMeter(clock), clock, *((30, [counters(i)]) for i in range(300)))
    recent = meter.figures().recent
    assert recent is not None
    assert recent.rollouts == pytest.approx(1 / 30)
    assert meter.figures().mean == recent


def test_a_worker_started_anew_is_counted_on() -> None:
    clock = Clock()
    steps = [(1.0, [counters(50), counters(10)]), (1.0, [{}, counters(20)]), (1.0, [counters(5), counters(30)])]
    meter = fed(EngineMeter(clock), clock, *steps)
    figures = meter.figures()
    assert (figures.rollouts, figures.engines, figures.answering) == (85, 2, 2)
    assert fed(meter, clock, (1.0, [{}, counters(31)])).figures().answering == 1


def test_what_no_engine_tells_is_unknown() -> None:
    clock = Clock()
    figures = fed(EngineMeter(clock), clock, (1.0, [counters(1)])).figures()
    assert (figures.capacity, figures.waiting) == (None, None)
    told = fed(EngineMeter(clock), clock, (1.0, [counters(1, capacity=12, waiting=4)] * 2)).figures()
    assert (told.capacity, told.waiting) == (24, 8)


def engine(tokens: int = 0) -> EngineProgress:
    return EngineProgress(generated_tokens=tokens, recent=Speed(rollouts=9, tokens=90))


def paced(solved: int, labeled: int, *, first: int = 80, now: bool = False) -> Pace:
    """Ten shards, some of them through; 200 tokens to solve one and 800 to label it, or others the first three."""
    pace = Pace(shard_plan(10))
    for stage, count, rollouts in (("solve", solved, 20), ("label", labeled, 80)):
        for i in range(count):
            cost = first if stage == "label" and i < 3 else rollouts
            pace.done(report(stage, i, cost), now=now)  # type: ignore[arg-type]
    return pace


def test_the_end_is_the_work_left_at_the_recent_speed() -> None:
    assert paced(10, 4).seconds_left(engine(), 50) == pytest.approx(6 * 800 / 90)
    assert paced(4, 4).seconds_left(engine(500), 50) == pytest.approx((6 * 1000 - 500) / 90)
    assert paced(4, 4, now=True).seconds_left(engine(4500), 50) == pytest.approx((6 * 1000 - 500) / 90)
    assert paced(4, 4, now=True).seconds_left(engine(1000), 50) == pytest.approx(6 * 1000 / 90)  # others were replayed
    assert paced(10, 7, first=100).seconds_left(engine(), 50) == pytest.approx(3 * (3 * 1000 + 4 * 800) / 7 / 90)


def test_the_end_is_unknown_until_enough_is_seen() -> None:
    assert [paced(4, 1).seconds_left(engine(), 60), paced(4, 4).seconds_left(engine(), 5)] == [None, None]
    assert paced(4, 4).seconds_left(EngineProgress(), 60) is None
    assert paced(10, 4).seconds_left(engine(4801), 60) is None  # the cheap shards are through first


def test_a_finished_run_has_nothing_left() -> None:
    pace = Pace(shard_plan(2))
    for stage in SHARD_STAGES:
        for i in range(2):
            pace.done(report(stage, i), now=False)
    assert pace.seconds_left(EngineProgress(), 1.0) == 0.0
