"""``stepforge record``: the run that draws what the bench replays."""

from pathlib import Path

from stepforge.labelers import MathShepherd
from stepforge.pipelines.settings.run_file import recording_of
from stepforge.pipelines.settings.run_settings import read_run_file

REPOSITORY = Path(__file__).parents[3]


def test_a_recording_is_the_same_problems_and_solutions_with_dense_labels_and_nothing_else() -> None:
    run = read_run_file(REPOSITORY / "configs" / "free.toml", [])
    recording = recording_of(run, 16, 20)
    assert recording.label == (MathShepherd(k=16, root=20, right_solutions=False),)
    assert (recording.curate, recording.export) == ((), ())
    for kept in ("seed", "problems", "solutions", "generate", "engine", "policy", "vet"):
        assert getattr(recording, kept) == getattr(run, kept)
