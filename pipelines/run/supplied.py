"""Supplied solutions on their way to the solve stage; and the warning when solutions are not cut."""

from collections.abc import Sequence

from stepforge.filters import Difficulty
from stepforge.generators.policy import PromptedPolicy
from stepforge.generators.problem_sets import SourceItem
from stepforge.generators.uncut import uncut, uncut_warning
from stepforge.pipelines.run.stages import Brought, solve
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.terminal.output import say
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Grader, Scorer
from stepforge.schemas.rollout import SolvedProblem

_WARNED: set[str] = set()
"""Segmenters that this process has already warned about."""


async def solve_for(
    run: RunFile,
    problem: Problem,
    brought: Sequence[Brought],
    policy: PromptedPolicy,
    grader: Grader,
    scorer: Scorer | None,
) -> SolvedProblem:
    """Solve a problem as a run does; see ``stages.solve``."""
    rated = any(isinstance(part, Difficulty) for part in run.vet)
    n, seed = run.solutions, run.seed
    return await solve(
        problem, brought, policy, grader, n=n, seed=seed, pass_rate=rated, search=run.solve, scorer=scorer
    )


def brought_with(item: SourceItem) -> list[Brought]:
    """Return a problem's supplied solutions, in the solve stage's form."""
    return [
        Brought(
            problem_id=item.problem.id,
            text=solution.text,
            steps=solution.cut(lambda text: (text,)) if solution.steps else (),
            people=solution.people,
        )
        for solution in item.solutions
    ]


def warn_uncut(solved: Sequence[SolvedProblem], segmenter: str) -> None:
    """Warn once, before labels cost anything, that no steps are found; a worker's standard error reaches the
    driver's."""
    solutions = [rollout for row in solved for rollout in row.rollouts]
    count = sum(map(uncut, solutions))
    if count and segmenter not in _WARNED:
        _WARNED.add(segmenter)
        say(f"stepforge: warning: {uncut_warning(count, len(solutions), segmenter)}", err=True)
