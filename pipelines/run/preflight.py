"""All checks before a run starts: problem sets, the model, the engine, the server, and isolation for code."""

import asyncio
import os
import shutil
from importlib.util import find_spec

from stepforge.filters import Contamination, NearDuplicates, SelfConsistency
from stepforge.generators.columns import hint
from stepforge.generators.families.programs import Programs
from stepforge.generators.families.reasoning_gym import ReasoningGym
from stepforge.generators.family import ProblemFamily
from stepforge.generators.policy import PromptedPolicy
from stepforge.generators.problem_sets import ProblemSet
from stepforge.generators.written import ModelSource
from stepforge.labelers import Cascade, Judge
from stepforge.labelers.deductions import MISSING, z3_is_there
from stepforge.pipelines.engines import (
    AnyEngine,
    ServerEngineSettings,
    TransformersEngineSettings,
    VllmEngineSettings,
)
from stepforge.pipelines.engines.model_files import check_there, locate
from stepforge.pipelines.inputs.held_out import held_out_index
from stepforge.pipelines.inputs.problem_files import ProblemSource, open_problems
from stepforge.pipelines.inputs.survey import ProblemCount
from stepforge.pipelines.progress.prometheus import check_metrics
from stepforge.pipelines.run.model_sources import readable_rows
from stepforge.pipelines.run.probe import (
    LONGEST,
    check_answers,
    check_going_on_is_known,
    completing,
    fitting,
    naming_engine,
)
from stepforge.pipelines.run_folder.plan import FAMILIES, ShardPlan
from stepforge.pipelines.sandbox.inside import NOT_IMPORTED
from stepforge.pipelines.sandbox.sandbox import NoIsolation, Sandbox
from stepforge.pipelines.scorers import check_scorer
from stepforge.pipelines.settings.run_file import RunFile, engines_by_table, runs_by_table
from stepforge.schemas.errors import BadInput
from stepforge.schemas.own_part import is_own
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Engine, Sampling
from stepforge.schemas.verifier import CommandVerifier, PythonVerifier

FEW = 8
"""Number of problems from which the one for the test completion is chosen."""


def preflight(run: RunFile) -> None:
    _check_problems(run)
    _check_filters(run)
    for part in run.generate:
        if isinstance(part, ProblemFamily):
            part.check()
    check_isolation(run)
    check_metrics(run.workers)
    _check_domains(run)
    for asked in runs_by_table(run).values():
        _check_policy(asked)
    for table, engine in engines_by_table(run).items():
        with naming_engine(table):
            _check_engine(engine)
    if run.scorer is not None and not is_own(run.scorer):
        _need("torch", "pip install torch")
        check_scorer(run.scorer)
    if "RAY_ADDRESS" not in os.environ:
        asyncio.run(_answers(run))


def _check_problems(run: RunFile) -> None:
    for part in run.generate:
        if isinstance(part, ProblemSet):
            limits = [limit for limit in (part.limit, run.problems) if limit]
            source = open_problems(part.model_copy(update={"limit": min(limits, default=None)}))
            _check_answers(run, source, source.check())
        if isinstance(part, ModelSource) and isinstance(part.seeds, ProblemSet):
            open_problems(part.seeds).check()


def _check_filters(run: RunFile) -> None:
    for part in run.vet:
        if isinstance(part, Contamination):
            held_out_index(part)
        if isinstance(part, NearDuplicates) and part.model:
            _need("torch", "pip install torch")
            locate(part.model, "vet.near_duplicates.model")
            continue
        library = {"near_duplicates": "rensa", "language": "py3langid"}.get(part.kind)
        if library is not None and find_spec(library) is None:
            raise BadInput(
                f"vet: {part.kind} needs {library}, which is not installed: pip install 'stepforge[filters]'"
            )


def _check_answers(run: RunFile, source: ProblemSource, count: ProblemCount) -> None:
    """Without a reference no outcome is known, so no labeler except a judge can work."""
    supplied = any(isinstance(part, SelfConsistency) for part in run.vet)
    judged = not all(getattr(part, "needs_answer", True) for part in run.label)
    if count.without_answer < count.problems or supplied or judged:
        return
    part, columns = source.part, source.tables[0][1].columns
    column = "no answer column is named" if part.answer is None else f"column {part.answer!r} is empty in every row"
    raise BadInput(
        f"generate: {part.path or part.hub}: no problem has a reference answer ({column}); list self_consistency "
        "under vet, which takes the majority's answer, or if there are answers: "
        f"{hint('answer', part.answer or 'answer', columns)}"
    )


def _check_engine(engine: AnyEngine) -> None:
    if isinstance(engine, VllmEngineSettings):
        _need("vllm", "pip install 'stepforge[cpu]' on a CPU, 'stepforge[gpu]' on a GPU")
        _check_model(engine)
        if engine.vllm:
            from stepforge.pipelines.engines.vllm_arguments import check_arguments

            check_arguments(engine)
    if isinstance(engine, TransformersEngineSettings):
        _need("torch", "pip install torch")
        _check_model(engine)
    if isinstance(engine, ServerEngineSettings):
        from stepforge.pipelines.engines.server_connection import api_key

        api_key(engine)


def _check_model(engine: VllmEngineSettings | TransformersEngineSettings) -> None:
    if "RAY_ADDRESS" in os.environ or "VLLM_USE_MODELSCOPE" in os.environ:
        locate(engine.model)  # only the workers may reach the Hub; or it is another hub
    else:
        check_there(engine.model, engine.revision)


def _need(module: str, remedy: str) -> None:
    if find_spec(module) is None:
        raise BadInput(f"engine: {module} is not installed: {remedy}, or name another engine.kind")


async def _answers(run: RunFile) -> None:
    """Request one completion from each server before anything starts.

    On a cluster only the workers may reach it, so they do this themselves.
    """
    for table, asked in runs_by_table(run).items():
        if isinstance(asked.engine, ServerEngineSettings):
            with naming_engine(table):
                await _answers_one(asked)
    if isinstance(run.judge, ServerEngineSettings):
        with naming_engine("judge"):
            judge = await run.judge.open()
        try:
            await _check_judge(judge, run)
        finally:
            await judge.close()


async def _answers_one(run: RunFile) -> None:
    engine = await run.engine.open()
    try:
        check_going_on_is_known(engine, run)
        problem = fitting(_some_problems(run))
        if problem is not None:
            await check_answers(engine, run, problem)
    finally:
        await engine.close()


async def _check_judge(judge: Engine, run: RunFile) -> None:
    listed = [tier for part in run.label for tier in (part.tiers if isinstance(part, Cascade) else (part,))]
    part = next((part for part in listed if isinstance(part, Judge)), None)
    if part is None:
        return
    try:
        policy = PromptedPolicy(judge, run.policy)
        sampling = Sampling(temperature=part.temperature, max_tokens=min(part.max_tokens, LONGEST))
        (answer,) = await policy.ask("Is 1 + 1 = 2 right?", n=1, seed=run.seed, sampling=sampling, chat=part.chat)
    except ValueError as error:
        raise BadInput(f"judge: {error}") from None
    if answer.finish == "error":
        raise BadInput(f"judge: the test completion failed: {answer.error}")


def _some_problems(run: RunFile) -> list[Problem]:
    sets = (i for i, part in enumerate(run.generate) if isinstance(part, ProblemSet | ModelSource))
    shard = ShardPlan(index=0, source=next(sets, FAMILIES), start=0, stop=FEW)
    return [item.problem for _, item in readable_rows(run, shard)]


def _check_domains(run: RunFile) -> None:
    kinds = {part.kind for part in run.generate if isinstance(part, ProblemFamily)}
    if "logic" in kinds and not z3_is_there():
        raise BadInput(f"generate: {MISSING}")
    if "tools" in kinds and run.policy.tool is None:
        raise BadInput('policy.tool: the problems of tools call a calculator; set tool = "calculator"')


def _check_policy(run: RunFile) -> None:
    if run.policy.temperature == 0 and completing(run):
        raise BadInput(
            f"policy.temperature: 0 always gives the same completion, and {', '.join(completing(run))} counts how "
            "many are right: set it above 0 (1 samples from the model unchanged), or use the judge labeler"
        )
    if isinstance(run.engine, ServerEngineSettings) and run.engine.api == "chat" and not run.policy.chat:
        raise BadInput('policy.chat: engine.api = "chat" sends conversations; set chat = true under [policy]')


def check_isolation(run: RunFile) -> None:
    """Start an isolated process that tries to escape, if the run needs isolation."""
    rules = [part.verifier for part in run.generate if isinstance(part, ProblemSet) and part.verifier]
    tested = any(
        isinstance(part, Programs | ReasoningGym) or (isinstance(part, ProblemSet) and part.tests)
        for part in run.generate
    )
    if not rules and not tested:
        return
    for rule in rules:
        if isinstance(rule, CommandVerifier) and not (rule.command[0] == "{python}" or shutil.which(rule.command[0])):
            raise BadInput(f"generate: verifier: no program {rule.command[0]!r}; give its path")
    asyncio.run(_check(rules))


async def _check(rules: list[PythonVerifier | CommandVerifier]) -> None:
    async with Sandbox(1) as sandbox:
        try:
            found = await sandbox.check()
            if rules and not found.namespaces:
                raise BadInput("generate: verifier: your own rule needs user namespaces; allow them on this machine")
            rule = next((rule for rule in rules if isinstance(rule, PythonVerifier)), None)
            if rule is None:
                return
            ruling = await asyncio.wrap_future(sandbox.ask(rule, {"question": "", "solution": "", "kept": {}}))
        except NoIsolation as error:
            raise BadInput(f"generate: {error}") from error
    if ruling.message.startswith(NOT_IMPORTED):
        raise BadInput(f"generate: verifier: {rule.function} {ruling.message}; name its folder in PYTHONPATH")
