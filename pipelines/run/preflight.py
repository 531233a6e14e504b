"""Everything that can be known to be wrong before a run starts: problem sets, the model, the engine, the server."""

import os
from importlib.util import find_spec

from stepforge.filters import SelfConsistency
from stepforge.generators.columns import hint
from stepforge.generators.problem_sets import ProblemSet
from stepforge.labelers.judge import Judge
from stepforge.pipelines.engines import AnyEngine, ServerEngineSettings, TransformersEngineSettings, VllmEngineSettings
from stepforge.pipelines.engines.model_files import locate
from stepforge.pipelines.inputs.problem_files import ProblemSource, open_problems
from stepforge.pipelines.inputs.survey import ProblemCount
from stepforge.pipelines.progress.prometheus import check_metrics
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.errors import BadInput


def preflight(run: RunFile) -> None:
    """Check what the run will need.

    Raises:
        BadInput: one line with what is wrong, where, and the remedy.
    """
    _check_problems(run)
    check_metrics(run.workers)
    _check_engine(run.engine)
    if run.judge is not None:
        _check_engine(run.judge)


def _check_problems(run: RunFile) -> None:
    """Read the problem sets as far as the run will."""
    for part in run.generate:
        if isinstance(part, ProblemSet):
            limits = [limit for limit in (part.limit, run.problems) if limit]
            source = open_problems(part.model_copy(update={"limit": min(limits, default=None)}))
            _check_answers(run, source, source.check())


def _check_answers(run: RunFile, source: ProblemSource, count: ProblemCount) -> None:
    """Without a reference no outcome is known, and every labeler but a judge has nothing to go by."""
    supplied = any(isinstance(part, SelfConsistency) for part in run.vet)
    if count.without_answer < count.problems or supplied or any(isinstance(part, Judge) for part in run.label):
        return
    part, columns = source.part, source.tables[0][1].columns
    column = "no answer column is named" if part.answer is None else f"column {part.answer!r} is empty in every row"
    raise BadInput(
        f"generate: {part.path or part.hub}: no problem has a reference answer ({column}); "
        f"{hint('answer', part.answer or 'answer', columns)}, or list self_consistency under vet, which takes the "
        "majority's answer"
    )


def _check_engine(engine: AnyEngine) -> None:
    if isinstance(engine, VllmEngineSettings):
        _need("vllm", "pip install 'stepforge[cpu]' on a CPU, 'stepforge[gpu]' on a GPU")
        locate(engine.model)
    if isinstance(engine, TransformersEngineSettings):
        _need("torch", "pip install torch")
        locate(engine.model)
    if isinstance(engine, ServerEngineSettings) and "RAY_ADDRESS" not in os.environ:
        _reach(engine)


def _need(module: str, remedy: str) -> None:
    if find_spec(module) is None:
        raise BadInput(f"engine: {module} is not installed: {remedy}, or name another engine.kind")


def _reach(engine: ServerEngineSettings) -> None:
    """Ask the server for its models from here; on a cluster only the workers may see it, and they ask themselves."""
    import httpx

    try:
        httpx.get(f"{engine.address}/models", timeout=10)
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise BadInput(
            f"engine.address: no server answers at {engine.address} ({reason}); start it, or correct the address"
        ) from None
