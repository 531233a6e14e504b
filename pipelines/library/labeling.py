"""Labeling solutions from Python: any labeler, any engine, no run folder and no Ray."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any

from pydantic import TypeAdapter, ValidationError

from stepforge.generators.policy import NotSampled, PolicySettings, PromptedPolicy
from stepforge.generators.problem_sets import hash_of
from stepforge.generators.supplied import Brought, spaced
from stepforge.grading.final_answer import reference_answer
from stepforge.labelers import AnyLabeler, AnyPart
from stepforge.pipelines.engines import AnyEngine
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.library.own_function import FunctionEngine
from stepforge.pipelines.library.waiting import finished
from stepforge.pipelines.run.stages import label, solve
from stepforge.pipelines.scorers import OurScorer, OwnScorer, open_scorer
from stepforge.pipelines.settings.faults import kind_fault
from stepforge.pipelines.settings.run_file import labelers_fault
from stepforge.schemas.errors import BadInput, RunFailed
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
    """Each a whole text, which the policy's segmenter cuts, or its steps; blank lines go between steps that no white
    space separates. Empty: the engine writes them."""


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
        RunFailed: a task got no solution, or every call of the function failed.
        EngineDead: the engine is gone.
    """
    given = list(labeler) if isinstance(labeler, Sequence) and not isinstance(labeler, str) else [labeler]
    parts = [_part(one) for one in given]
    alone: object = tasks  # a record can be iterated over: its fields
    if isinstance(alone, Task) or not isinstance(alone, Iterable):
        raise BadInput(f"tasks: a {type(alone).__name__}; give a list of stepforge.Task")
    listed = list(tasks)
    if scorer is not None and not isinstance(scorer, OurScorer) and not hasattr(scorer, "open"):
        raise BadInput(f"scorer: {scorer!r} is neither settings of a reward model nor an object with an async open()")
    _check(listed, parts, scored=scorer is not None)
    return finished(_labeled(listed, parts, engine, policy, n, seed, scorer))


def _check(tasks: list[Task], parts: list[AnyPart], *, scored: bool) -> None:
    """Raises BadInput: with these no label would be given, or not the one that was asked for."""
    if not parts:
        raise BadInput("labeler: none is given")
    if fault := labelers_fault(parts, scored=scored):
        raise BadInput(f"labeler: {fault}")
    for number, task in enumerate(tasks):
        if not isinstance(task, Task):
            raise BadInput(f"tasks: item {number} is a {type(task).__name__}; give a list of stepforge.Task")
        if not task.answer and task.verifier is None and all(getattr(part, "needs_answer", True) for part in parts):
            raise BadInput(f"tasks: item {number} has neither an answer nor a verifier; only a judge can do without")
        if task.answer and _reference(task) is None:
            raise BadInput(f"tasks: item {number}: no answer is found in {task.answer[:60]!r}; write the answer alone")


def _part(given: str | AnyPart) -> AnyPart:
    if not isinstance(given, str):
        if isinstance(given, type) or not isinstance(given, AnyPart):
            raise BadInput(f"labeler: {given!r} is neither the name of a kind nor a labeler")
        return given
    try:
        return TypeAdapter[AnyPart](AnyLabeler).validate_python({"kind": given})
    except ValidationError as error:
        raise BadInput(f"labeler: {kind_fault(error)}") from None


async def _labeled(
    tasks: list[Task], parts: list[AnyPart], engine: Any, policy: PolicySettings, n: int, seed: int, scorer: Any
) -> list[LabeledProblem]:
    async with AsyncExitStack() as closing:
        opened = await _opened(engine, closing)
        reading = await open_scorer(scorer) if scorer is not None else None
        if reading is not None:
            closing.push_async_callback(reading.close)
        asking, grader = PromptedPolicy(opened, policy), await closing.enter_async_context(PooledGrader())

        async def one(task: Task) -> LabeledProblem:
            problem = _problem(task)
            brought = [Brought(text=s) if isinstance(s, str) else Brought(steps=_apart(s)) for s in task.solutions]
            try:
                solved = await solve(problem, brought, asking, grader, n=n, seed=seed)
            except NotSampled as error:
                raise RunFailed(f"no solution of {task.question[:60]!r} was written: {error}") from None
            return await label(solved, parts, asking, grader, seed=seed, scorer=reading)

        labeled = list(await asyncio.gather(*(one(task) for task in tasks)))
        if isinstance(opened, FunctionEngine):
            opened.check_failures()
        return labeled


async def _opened(engine: Any, closing: AsyncExitStack) -> Engine:
    """Return the engine; one that the caller has opened is not closed at the end."""
    if not isinstance(engine, Record) and hasattr(engine, "complete"):
        return engine  # type: ignore[no-any-return]
    opened: Engine = await engine.open() if hasattr(engine, "open") else FunctionEngine(engine)
    closing.push_async_callback(opened.close)
    return opened


def _problem(task: Task) -> Problem:
    name = hash_of(task.question)
    return Problem(
        id=f"task:{name}",
        source="task",
        domain="task",
        question=task.question,
        answer=_reference(task),
        verifier=task.verifier,
        answer_kind="math",
        group=f"question-{name}",
    )


def _apart(steps: tuple[str, ...]) -> tuple[str, ...]:
    """Return what ``cut`` gave as it is, and steps that nothing separates with blank lines, as a problem set does.

    Raises:
        BadInput: a step is empty.
    """
    if "" in steps:
        raise BadInput(
            f"solutions: step {steps.index('')} of {len(steps)} is empty; every step must be a nonempty text"
        )
    parted = any(a[-1:].isspace() or b[:1].isspace() for a, b in pairwise(steps))
    return steps if parted else spaced(steps)


def _reference(task: Task) -> str | None:
    """Return the final answer of a worked solution; with a verifier, which reads it as it likes, the text itself."""
    return task.answer if task.verifier is not None or not task.answer else reference_answer(task.answer)
