"""Everything that can be known to be wrong before a run starts: problem sets, the model, the engine, the server."""

import os
from importlib.util import find_spec

from stepforge.generators.problem_sets import ProblemSet
from stepforge.pipelines.engines import AnyEngine, ServerEngineSettings, TransformersEngineSettings, VllmEngineSettings
from stepforge.pipelines.engines.model_files import locate
from stepforge.pipelines.inputs.problem_files import open_problems
from stepforge.pipelines.progress.prometheus import check_metrics
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.errors import BadInput


def preflight(run: RunFile) -> None:
    """Check what the run will need.

    Raises:
        BadInput: one line with what is wrong, where, and the remedy.
    """
    for part in run.generate:
        if isinstance(part, ProblemSet):
            open_problems(part).check()
    check_metrics(run.workers)
    _check_engine(run.engine)
    if run.judge is not None:
        _check_engine(run.judge)


def _check_engine(engine: AnyEngine) -> None:
    if isinstance(engine, VllmEngineSettings):
        _need("vllm", "pip install 'stepforge[cpu]' on a CPU, 'stepforge[gpu]' on a GPU")
        locate(engine.model)
        if engine.vllm:
            from stepforge.pipelines.engines.vllm_arguments import check_arguments

            check_arguments(engine)
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
