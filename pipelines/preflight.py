"""Everything that can be known to be wrong before a run starts: problem sets, the model, the engine, the server."""

from generators.problem_sets import ProblemSet
from pipelines.engines import check_engine
from pipelines.problem_files import open_problems
from pipelines.run_file import RunFile


def preflight(run: RunFile) -> None:
    """Check what the run will need.

    Raises:
        BadInput: one line with what is wrong, where, and the remedy.
    """
    for part in run.generate:
        if isinstance(part, ProblemSet):
            open_problems(part).check()
    check_engine(run.engine)
