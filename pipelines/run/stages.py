"""The stages, a row at a time: generate, solve, vet, label, curate. No files, no Ray; workers call them on shards."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from stepforge.filters import Corpus, CurateFilter, Difficulty, Dropped, VetFilter
from stepforge.generators.policies import Policies
from stepforge.generators.policy import NotSampled, PromptedPolicy
from stepforge.generators.search import Asked, Found
from stepforge.generators.segmenters import uncut, uncut_warning
from stepforge.generators.supplied import Brought, on_steps
from stepforge.grading.outcomes import graded
from stepforge.labelers import AnyPart, label_with_all
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.run.repairs import with_repairs
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.terminal.output import say
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.labeled import Cost, Failure, LabeledProblem, LabelerCost, Rejected
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import EngineDead, Grader, Scorer
from stepforge.schemas.rollout import SUPPLIED, Rollout, SolvedProblem
from stepforge.schemas.seeds import seed_of

SCORER = "scorer"
"""The ledger's name for tokens read by a reward model."""
_WARNED: set[str] = set()
"""Segmenters that this process has already warned about."""
Row = TypeVar("Row", SolvedProblem, LabeledProblem)
Given = TypeVar("Given")
Done = TypeVar("Done")


class Sifted(NamedTuple, Generic[Row]):
    kept: list[Row]
    rejected: list[Rejected]


async def attempt_all(
    rows: Sequence[Given], work: Callable[[Given], Awaitable[Done]], stage: str, identity: Callable[[Given], str]
) -> tuple[list[Done], list[Failure]]:
    """Do all rows concurrently; a row that cannot be finished becomes a ``Failure``, and the others continue.

    Raises:
        EngineDead: the worker must end.
        RunFailed: something that is not a row's fault; nothing may be committed.
    """

    async def attempt(row: Given) -> Done | Failure:
        try:
            return await work(row)
        except (EngineDead, RunFailed):
            raise
        except Exception as error:
            message = str(error)[:500]
            return Failure(problem_id=identity(row), stage=stage, error=type(error).__name__, message=message)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(attempt(row)) for row in rows]
    except* (EngineDead, RunFailed) as errors:
        raise errors.exceptions[0] from None
    results = [task.result() for task in tasks]
    done = [result for result in results if not isinstance(result, Failure)]
    return done, [result for result in results if isinstance(result, Failure)]


async def solve(
    problem: Problem,
    brought: Sequence[Brought],
    policy: PromptedPolicy,
    grader: Grader,
    *,
    n: int,
    seed: int,
    pass_rate: bool = False,
    search: Callable[[Asked], Awaitable[Found]] | None = None,
    scorer: Scorer | None = None,
) -> SolvedProblem:
    """Sample ``n`` solutions of a problem, or use the supplied ones; grade them.

    ``pass_rate``: sample even if solutions were supplied, to know the policy's own pass rate.

    Raises:
        NotSampled: the engine failed over all of them.
        SpecialToken: the question, or a supplied solution, holds one.
        LabelMismatch: people's label names a step that a supplied solution does not have.
    """
    own: list[Rollout] = []
    if search is not None and not brought:
        return await _searched(Asked(problem, policy, grader, scorer, seed_of(seed, "search")), search, n)
    if pass_rate or not brought:
        sampled = await policy.solve(problem, n=n, seed=seed_of(seed, "solve", problem.id))
        own = await graded(problem, sampled, grader)
        if policy.settings.repair and problem.verifier and isinstance(grader, PooledGrader):
            own = await with_repairs(problem, own, policy, grader, seed=seed)
    if brought:
        policy.check_plain(problem.question)
        rollouts = [_brought_rollout(problem, i, solution, policy) for i, solution in enumerate(brought)]
        identity = policy.identity.model_copy(update={"model": SUPPLIED, "digest": "", "engine": ""})
        rollouts = await graded(problem, rollouts, grader, supplied=True)
        return SolvedProblem(problem=problem, rollouts=tuple(rollouts), policy=identity, own=tuple(own))
    return SolvedProblem(problem=problem, rollouts=tuple(own), policy=policy.identity)


async def solve_for(
    run: RunFile,
    problem: Problem,
    brought: Sequence[Brought],
    policy: PromptedPolicy,
    grader: Grader,
    scorer: Scorer | None,
) -> SolvedProblem:
    rated, n = any(isinstance(part, Difficulty) for part in run.vet), run.solutions
    return await solve(
        problem, brought, policy, grader, n=n, seed=run.seed, pass_rate=rated, search=run.solve, scorer=scorer
    )


async def _searched(asked: Asked, search: Callable[[Asked], Awaitable[Found]], n: int) -> SolvedProblem:
    """Return the best of what a search finds. They are not samples of the policy, and their identity says so."""
    asked.policy.check_plain(asked.problem.question)
    found = await search(asked)
    if not found.solutions:
        raise NotSampled("the search found no whole solution")
    solutions = await graded(asked.problem, found.solutions, asked.grader)
    rollouts, others = tuple(solutions[:n]), tuple(solutions[n:])
    policy = asked.policy.identity
    identity = policy.model_copy(update={"model": f"{policy.model}, searched"})
    beside = found.tokens - sum(r.tokens for r in rollouts)
    return SolvedProblem(
        problem=asked.problem, rollouts=rollouts, policy=identity, searched=others, searched_tokens=max(0, beside)
    )


def _brought_rollout(problem: Problem, number: int, brought: Brought, policy: PromptedPolicy) -> Rollout:
    policy.check_plain("".join((brought.text, *brought.steps)))
    whole = tuple(policy.whole(piece) for piece in brought.steps)
    steps = whole or policy.adopt(brought.text)
    text = "".join(step.text for step in steps)
    return Rollout(
        id=f"{problem.id}-brought-{number}",
        start=None,
        steps=steps,
        answer=policy.answer(problem, text),
        outcome="undetermined",
        finish="stop",
        tokens=0,
        people=None if brought.people is None else on_steps(brought.people, [step.text for step in steps]),
    )


def warn_uncut(solved: Sequence[SolvedProblem], segmenter: str) -> None:
    """Warn once, before labels cost anything, that no steps are found; a worker's standard error reaches the
    driver's."""
    solutions = [rollout for row in solved for rollout in row.rollouts]
    count = sum(map(uncut, solutions))
    if count and segmenter not in _WARNED:
        _WARNED.add(segmenter)
        say(f"stepforge: warning: {uncut_warning(count, len(solutions), segmenter)}", err=True)


async def label(
    solved: SolvedProblem,
    labelers: Sequence[AnyPart],
    policy: PromptedPolicy,
    grader: Grader,
    *,
    seed: int,
    scorer: Scorer | None = None,
) -> LabeledProblem:
    costs: tuple[LabelerCost, ...] = ()
    if scorer is not None:
        solved, cost = await with_scores(solved, scorer)
        costs = (LabelerCost(labeler=SCORER, cost=cost),)
    row = await label_with_all(labelers, solved, policy, grader, seed=seed_of(seed, "label"))
    return row.model_copy(update={"costs": (*row.costs, *costs), "searched": solved.searched})


async def label_by(
    policies: Policies,
    solved: SolvedProblem,
    labelers: Sequence[AnyPart],
    grader: Grader,
    *,
    seed: int,
    scorer: Scorer | None,
) -> LabeledProblem:
    """Label a solved problem with completions of the policy that the run has for it."""
    policy = policies.completing(solved.problem, supplied=solved.supplied)
    row = await label(solved, labelers, policy, grader, seed=seed, scorer=scorer)
    same = policy is policies.solving(solved.problem)
    return row if same else row.model_copy(update={"completer": policy.identity})


async def with_scores(solved: SolvedProblem, scorer: Scorer) -> tuple[SolvedProblem, Cost]:
    """Return a problem with its solutions' steps scored, and the cost; what cannot be scored has no scores."""
    steps = [[step.text.strip("\n") for step in rollout.steps] for rollout in solved.rollouts]
    found = await scorer.score(solved.problem.question.strip(), steps)
    rollouts = tuple(
        rollout.model_copy(update={"scores": one.scores}) for rollout, one in zip(solved.rollouts, found, strict=True)
    )
    return solved.model_copy(update={"rollouts": rollouts}), Cost(prompt_tokens=sum(one.tokens for one in found))


def vet(rows: Sequence[SolvedProblem], filters: Sequence[VetFilter], corpus: Corpus) -> Sifted[SolvedProblem]:
    """Pass rows through the filters that need no labels; the first that drops a row names the reason."""
    return _sift(rows, [(f.kind, lambda row, f=f: f(row, corpus)) for f in filters])


def curate(rows: Sequence[LabeledProblem], filters: Sequence[CurateFilter]) -> Sifted[LabeledProblem]:
    return _sift(rows, [(f.kind, f) for f in filters])


def _sift(rows: Sequence[Row], filters: list[tuple[str, Callable[..., Row | Dropped]]]) -> Sifted[Row]:
    sifted: Sifted[Row] = Sifted([], [])
    for row in rows:
        kept = row
        for name, keep in filters:
            answer = keep(kept)
            if isinstance(answer, Dropped):
                dropped = row.model_dump_json()
                rejected = Rejected(problem_id=row.problem.id, filter=name, reason=answer.reason, row=dropped)
                sifted.rejected.append(rejected)
                break
            kept = answer
        else:
            sifted.kept.append(kept)
    return sifted
