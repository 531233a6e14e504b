"""What a session gave over time adds up, however long it takes."""

from math import isclose
from pathlib import Path

from stepforge.pipelines.run_folder.sessions import BINS, Session, Timeline, past_sessions
from stepforge.pipelines.storage.layout import Layout
from stepforge.schemas.labeled import Cost


def test_amounts_are_spread_over_the_time_they_took() -> None:
    line = Timeline()
    line.add(0.0, 4.0, 100.0, 2.0)
    line.add(2.0, 4.0, 50.0, 0.0)
    found = line.figures()
    assert found.seconds == 1.0
    assert found.generated_tokens[:4] == (25.0, 25.0, 50.0, 50.0)
    assert found.engine_seconds[:4] == (0.5, 0.5, 0.5, 0.5)


def test_a_long_session_has_longer_stretches_and_the_same_sums() -> None:
    line = Timeline()
    for i in range(1000):
        line.add(60.0 * i, 60.0 * i + 90.0, 10.0, 1.0)
    found = line.figures()
    assert found.seconds == 512.0
    assert len(found.generated_tokens) <= BINS + 1
    assert isclose(sum(found.generated_tokens), 10_000, rel_tol=1e-4)
    assert isclose(sum(found.engine_seconds), 1000, rel_tol=1e-4)


def test_a_session_keeps_what_was_drawn_and_not_what_was_replayed(tmp_path: Path) -> None:
    session = Session(Layout(tmp_path), "one", 1)
    session.note("label", 2.0, 1.5, 5, Cost(rollouts=10, generated_tokens=100))
    session.note("vet", 0.1, 0.0, 0, Cost())
    session.write()
    (found,) = past_sessions(Layout(tmp_path))
    assert found.timeline is not None
    assert isclose(sum(found.timeline.generated_tokens), 50, abs_tol=0.01)
    assert isclose(sum(found.timeline.engine_seconds), 1.5, abs_tol=0.01)
