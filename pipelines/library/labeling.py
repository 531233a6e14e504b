"""Labeling solutions from Python: any labeler, any engine, no run folder and no Ray."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydantic import TypeAdapter

from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.generators.problem_sets import hash_of
from stepforge.labelers import AnyLabeler, AnyPart
from stepforge.pipelines.engines import AnyEngine, open_engine
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.library.own_function import FunctionEngine
from stepforge.pipelines.library.waiting import finished
from stepforge.pipelines.run.stages import Brought, label, solve
from stepforge.pipelines.scorers import OurScorer, OwnScorer, open_scorer
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Engine
from stepforge.schemas.record import Record
from stepforge.schemas.verifier import AnyVerifier

DEFAULT_POLICY = PolicySettings()


class Task(Record):
    """A question with its reference answer or its verifier, and the solutions to label."""

    question: str
    answer: str | None = None
    """The reference: a plain answer, or a worked solution that ends in one."""
    verifier: AnyVerifier | None = None
    """What decides the outcome if the answer is not a value: unit tests, or your own rule."""
    solutions: tuple[str | tuple[str, ...], ...] = ()
    """Each a whole text, which the policy's segmenter cuts, or its steps. Empty: the engine writes them."""


def label_solutions(
    tasks: Iterable[Task],
    labeler: str | AnyPart | Sequence[str | AnyPart] = "omega_prm",
    *,
    engine: "AnyEngine | Engine | Callable[[str, int], Any]",
    policy: PolicySettings = DEFAULT_POLICY,
    n: int = 4,
    seed: int = 0,
    scorer: "OurScorer | OwnScorer | None" = None,
) -> list[LabeledProblem]:
    """Label every solution of every task; ``solutions[i].verdict.first_error`` is a 0-based step, or None.

    Args:
        tasks: What to label.
        labeler: The kind of a labeler, a labeler, or several; the labels are the first one's.
        engine: Engine settings, an open engine, or ``async def complete(text, seed) -> str``.
        policy: How the engine is asked and its text is cut into steps.
        n: Solutions to write for a task without any.
        seed: Equal seeds request equal samples.
        scorer: A process reward model, for labelers that use its scores.

    Raises:
        BadInput: there is no such labeler, the engine cannot be opened, or a task cannot be used.
        EngineDead: the engine is gone.
    """
    given = list(labeler) if isinstance(labeler, Sequence) and not isinstance(labeler, str) else [labeler]
    parts = [_part(one) for one in given]
    return finished(_labeled(list(tasks), parts, engine, policy, n, seed, scorer))


def _part(given: str | AnyPart) -> AnyPart:
    if not isinstance(given, str):
        return given
    try:
        part: AnyPart = TypeAdapter(AnyLabeler).validate_python({"kind": given})
    except ValueError as error:
        raise BadInput(f"labeler {given!r}: {str(error).splitlines()[-2].strip()}") from None
    return part


async def _labeled(
    tasks: list[Task], parts: list[AnyPart], engine: Any, policy: PolicySettings, n: int, seed: int, scorer: Any
) -> list[LabeledProblem]:
    opened, ours = await _opened(engine)
    asking = PromptedPolicy(opened, policy)
    reading = await open_scorer(scorer) if scorer is not None else None
    try:
        async with PooledGrader() as grader:

            async def one(task: Task) -> LabeledProblem:
                problem = _problem(task)
                solved = await solve(problem, _brought(problem, task), asking, grader, n=n, seed=seed)
                return await label(solved, parts, asking, grader, seed=seed, scorer=reading)

            return list(await asyncio.gather(*(one(task) for task in tasks)))
    finally:
        if reading is not None:
            await reading.close()
        if ours:
            await opened.close()


async def _opened(engine: Any) -> tuple[Engine, bool]:
    """Return the engine, and whether we must close it."""
    if isinstance(engine, Record):
        return await open_engine(engine), True  # type: ignore[arg-type]
    if hasattr(engine, "complete"):
        return engine, False
    return FunctionEngine(engine), True


def _problem(task: Task) -> Problem:
    name = hash_of(task.question)
    return Problem(
        id=f"task:{name}",
        source="task",
        domain="task",
        question=task.question,
        answer=task.answer,
        verifier=task.verifier,
        answer_kind="math",
        difficulty=None,
        group=f"question-{name}",
    )


def _brought(problem: Problem, task: Task) -> list[Brought]:
    return [
        Brought(problem_id=problem.id, text=given, steps=())
        if isinstance(given, str)
        else Brought(problem_id=problem.id, text="", steps=given)
        for given in task.solutions
    ]
