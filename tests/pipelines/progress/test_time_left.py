"""Speeds and the time that is left, from what was counted."""

import pytest
from run_states import Clock, counters, fed, report, shard_plan

from stepforge.pipelines.progress.engine_meter import EngineMeter
from stepforge.pipelines.progress.pace import Pace
from stepforge.pipelines.progress.snapshot import Speed
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


def test_the_end_is_the_work_left_at_the_recent_speed() -> None:
    clock = Clock()
    pace, meter = Pace(shard_plan(10)), fed(EngineMeter(clock), clock, (0, [counters(0)]))
    for i in range(4):
        for stage, rollouts in (("generate", 0), ("solve", 20), ("vet", 0), ("label", 80)):
            pace.done(report(stage, i, rollouts), now=True)  # type: ignore[arg-type]
    fed(meter, clock, (50, [counters(450)]))
    # 6 shards are left at 100 rollouts each, 50 are made for them already, and 9 a second are made
    assert pace.seconds_left(meter, 50) == pytest.approx((600 - 50) / 9)


@pytest.mark.parametrize(
    ("labeled", "rollouts", "seconds"),
    [(1, 500, 60.0), (4, 20, 60.0), (4, 500, 5.0)],
    ids=["shards", "rollouts", "time"],
)
def test_the_end_is_unknown_until_enough_is_seen(labeled: int, rollouts: int, seconds: float) -> None:
    clock = Clock()
    pace, meter = Pace(shard_plan(10)), fed(EngineMeter(clock), clock, (0, [counters(0)]))
    for i in range(4):
        pace.done(report("solve", i, 20), now=True)
    for i in range(labeled):
        pace.done(report("label", i, 80), now=True)
    fed(meter, clock, (seconds, [counters(rollouts)]))
    assert pace.seconds_left(meter, seconds) is None


def test_shards_of_earlier_sessions_tell_the_work_and_never_the_speed() -> None:
    clock = Clock()
    pace, meter = Pace(shard_plan(10)), fed(EngineMeter(clock), clock, (0, [counters(0)]))
    for i in range(9):
        pace.done(report("solve", i, 20), now=False)
        pace.done(report("label", i, 80), now=False)
    assert pace.seconds_left(meter, 1) is None
    fed(meter, clock, (20, [counters(60)]))
    assert pace.seconds_left(meter, 20) == pytest.approx((100 - 60) / 3)


def test_replayed_completions_are_neither_speed_nor_work_done_twice() -> None:
    clock = Clock()
    pace, meter = Pace(shard_plan(4)), fed(EngineMeter(clock), clock, (0, [counters(0)]))
    for i in range(2):  # of 200 rollouts, 150 came from the journal
        pace.done(report("solve", i, 20), now=True)
        pace.done(report("label", i, 80), now=True)
    fed(meter, clock, (25, [counters(50)]))
    assert pace.seconds_left(meter, 25) == pytest.approx(200 / 2)
    fed(meter, clock, (25, [counters(100)]))  # 50 more, for shards that are not committed yet
    assert pace.seconds_left(meter, 50) == pytest.approx((200 - 50) / 2)


def test_the_pilot_of_the_rates_does_not_speak_for_the_others() -> None:
    clock = Clock()
    pace, meter = Pace(shard_plan(10), pilot={0, 1, 2}), fed(EngineMeter(clock), clock, (0, [counters(0)]))
    for i in range(10):
        pace.done(report("solve", i, 20), now=True)
    for i, rollouts in enumerate((300, 300, 300, 80, 80)):
        pace.done(report("label", i, rollouts), now=True)
    fed(meter, clock, (100, [counters(1260)]))
    assert pace.seconds_left(meter, 100) == pytest.approx(5 * 80 / 12.6)


def test_a_finished_run_has_nothing_left() -> None:
    pace = Pace(shard_plan(2))
    for stage in SHARD_STAGES:
        for i in range(2):
            pace.done(report(stage, i), now=False)
    assert pace.seconds_left(EngineMeter(), 1.0) == 0.0
