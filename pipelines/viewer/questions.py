"""What the first labeler asked, in order, and the results: its search is rerun on its own completions.

Evidence is stored by prefix. The order is recovered by replaying the labeler's completions, one question at a time; the
posteriors in between are the change-point model's, whichever labeler asked.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from stepforge.labelers import ChangePoint, Labeler
from stepforge.labelers.change_point.observations import has_verdict
from stepforge.labelers.contracts import pooled_labeler, with_rates
from stepforge.labelers.evidence.prefix_index import prefix_keys
from stepforge.labelers.evidence.replay import completions_drawn, solved_part, stored_evidence
from stepforge.pipelines.bench.cases import NotRecorded, RecordedGrader, RecordedPolicy
from stepforge.pipelines.run_folder.pooled_rates import committed_rates
from stepforge.pipelines.settings.digest import content_digest
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.layout import Layout
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.own_part import is_own
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Outcome, Rollout, Step

Drawn = list[tuple[tuple[Step, ...], list[Rollout]]]
"""Prefixes, with the completions requested together for each."""
MOST_QUESTIONS = 400
"""Most questions shown per solution."""


class Question(NamedTuple):
    """Completions of a prefix requested together, and the posterior after them."""

    steps: int
    """Length of the prefix."""
    outcomes: tuple[Outcome, ...]
    posterior: tuple[float, ...]
    """Probability of each first wrong step, and of none last."""

    @property
    def right_so_far(self) -> tuple[float, ...]:
        """Per step the probability that it and all before it are right."""
        return tuple(max(0.0, sum(self.posterior[i + 1 :])) for i in range(len(self.posterior) - 1))


class Asked(NamedTuple):
    """The questions about one solution; the first entry is the prior."""

    questions: tuple[Question, ...]
    in_order: bool
    """False if the labeler's order could not be recovered: then they are in the order of their prefixes."""


class _OnceMore(RecordedPolicy):
    """Gives a labeler its own completions once more, each once, and records its requests."""

    def __init__(self, row: LabeledProblem) -> None:
        super().__init__(row, seed=None)
        self.asked: Drawn = []

    async def sample(self, problem: Problem, prefix: Sequence[Step], *, n: int, seed: int) -> list[Rollout]:
        given = await super().sample(problem, prefix, n=n, seed=seed)
        if self.reused:
            raise NotRecorded(problem.id)
        self.asked.append((tuple(prefix), given))
        return given


def model_of(run: RunFile, layout: Layout) -> ChangePoint:
    """Return the run's change-point labeler under its pooled rates, or one with default rates."""
    part = pooled_labeler(run.label)
    if not isinstance(part, ChangePoint):
        return next((p for p in run.label if isinstance(p, ChangePoint)), ChangePoint())
    with suppress(RunFailed, OSError):
        return part.with_rates(committed_rates(part, layout, content_digest(run)))
    return part


def questions_about(row: LabeledProblem, solution: int, run: RunFile, model: ChangePoint) -> Asked | None:
    """Return the questions about one solution; None where it has no verdict, or nothing was drawn."""
    rollout = row.solutions[solution].rollout
    if not has_verdict(rollout) or not row.evidence:
        return None
    asked, in_order = _asked(row, run, model)
    evidence = stored_evidence(row.model_copy(update={"evidence": ()}))
    prefixes = {key: count for count, key in enumerate(prefix_keys(rollout.steps))}
    found = [Question(0, (), model.verdict_on(rollout, evidence).posterior or ())]
    for prefix, drawn in asked:
        for one in drawn:
            evidence.add(one, prefix)
        *_, key = prefix_keys(prefix)
        if key in prefixes and len(found) <= MOST_QUESTIONS:
            belief = model.verdict_on(rollout, evidence).posterior or ()
            found.append(Question(prefixes[key], tuple(one.outcome for one in drawn), belief))
    # The solution is judged by all completions in the end, also by those drawn later for other solutions.
    found[-1] = found[-1]._replace(posterior=model.verdict_on(rollout, evidence).posterior or ())
    return Asked(tuple(found), in_order)


def _asked(row: LabeledProblem, run: RunFile, model: ChangePoint) -> tuple[Drawn, bool]:
    """Return all questions about a problem, and whether their order is the labeler's own."""
    part = next((p for p in run.label if is_own(p) or isinstance(p, Labeler)), None)  # whose evidence is kept
    if part is not None and not is_own(part) and isinstance(part, Labeler):
        for labeler in (with_rates(part, model.rates), part) if isinstance(part, ChangePoint) else (part,):
            policy = _OnceMore(row)  # one of the first problems was labeled before the rates were pooled
            with suppress(NotRecorded, KeyError):
                asyncio.run(_search(labeler, row, policy))
            if sum(len(given) for _, given in policy.asked) == len(row.evidence):
                return policy.asked, True
    grouped = groupby(completions_drawn(row), key=itemgetter(0))
    return [(prefix, [one for _, one in group]) for prefix, group in grouped], False


async def _search(labeler: object, row: LabeledProblem, policy: _OnceMore) -> None:
    if isinstance(labeler, Labeler):
        await labeler(solved_part(row), policy, RecordedGrader(row), seed=0)
