"""``stepforge record``: the dense evidence that ``stepforge bench labelers --recording`` replays every labeler on.

A recording is a run whose only label part is ``math_shepherd``: completions of the question and of every prefix of
every wrong solution. So it resumes, is watched and is reported like any other run.
"""

from stepforge.labelers import MathShepherd
from stepforge.pipelines.settings.run_file import RunFile


def recording_of(run: RunFile, completions: int, root: int) -> RunFile:
    """Return the run that draws ``completions`` of every prefix and ``root`` of every question of another run."""
    dense = MathShepherd(k=completions, root=root, right_solutions=False)
    return run.model_copy(update={"label": (dense,), "curate": (), "export": ()})
