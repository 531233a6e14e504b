"""Search instead of independent samples: best of N, beam search and tree search over a policy's steps.

All ask the same engine and any value: the run's reward model (the least score of a path), the policy's own certainty
(the mean probability of the path's tokens; the engine must report log-probabilities), or Monte Carlo (the success rate
of a few completions: it knows the reference answer, so it is only for training data).

``best_of_n`` samples whole solutions. ``beam`` samples next steps of the best partial solutions (Snell et al.,
arXiv 2408.03314). ``mcts`` completes the most promising prefix of its tree (UCT, Kocsis and Szepesvari 2006), so every
simulation is a whole solution. Solutions come best first.
"""

import asyncio
from collections.abc import Sequence
from math import exp, inf, log, sqrt
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from stepforge.generators.policy import PromptedPolicy
from stepforge.grading.outcomes import graded
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Grader, Scorer
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Rollout, Step
from stepforge.schemas.seeds import seed_of

ValueKind = Literal["scorer", "certainty", "monte_carlo"]


class Asked(NamedTuple):
    problem: Problem
    policy: PromptedPolicy
    grader: Grader
    scorer: Scorer | None
    seed: int


class Found(NamedTuple):
    """Whole solutions with their values, best first, and everything that was sampled for them."""

    solutions: list[Rollout]
    values: list[float]
    tokens: int


class _Search(Record):
    value: ValueKind = "scorer"
    """The value function of paths."""
    completions: int = Field(default=2, ge=1)
    """Of each path, with ``monte_carlo``."""

    async def values(self, asked: Asked, paths: Sequence[tuple[Step, ...]]) -> tuple[list[float], int]:
        """Return the value of each path, and the tokens sampled for it."""
        if self.value == "certainty":
            return [_certainty(path) for path in paths], 0
        if self.value == "monte_carlo":
            found = await asyncio.gather(*(self._share_right(asked, path) for path in paths))
            return [share for share, _ in found], sum(tokens for _, tokens in found)
        if asked.scorer is None:
            raise ValueError("value = scorer needs a [scorer]")
        texts = [[step.text.strip("\n") for step in path] for path in paths]
        scored = await asked.scorer.score(asked.problem.question.strip(), texts)
        return [min(one.scores, default=0.0) for one in scored], 0

    async def _share_right(self, asked: Asked, path: tuple[Step, ...]) -> tuple[float, int]:
        seed = seed_of(asked.seed, "value", asked.problem.id, *(step.text for step in path))
        sampled = await asked.policy.sample(asked.problem, path, n=self.completions, seed=seed)
        outcomes = [r.outcome for r in await graded(asked.problem, sampled, asked.grader)]
        return outcomes.count("correct") / len(outcomes), sum(r.tokens for r in sampled)

    async def _found(self, asked: Asked, solutions: Sequence[Rollout], tokens: int) -> Found:
        values, more = await self.values(asked, [r.steps for r in solutions])
        order = sorted(range(len(solutions)), key=lambda i: -values[i])
        return Found([solutions[i] for i in order], [values[i] for i in order], tokens + more)


class BestOfN(_Search):
    """Independent solutions, ordered by value."""

    kind: Literal["best_of_n"] = "best_of_n"
    n: int = Field(default=8, ge=1)

    async def __call__(self, asked: Asked) -> Found:
        seed = seed_of(asked.seed, "best of n", asked.problem.id)
        sampled = await asked.policy.sample(asked.problem, (), n=self.n, seed=seed)
        return await self._found(asked, sampled, sum(r.tokens for r in sampled))


class Beam(_Search):
    """The best partial solutions, one step at a time."""

    kind: Literal["beam"] = "beam"
    width: int = Field(default=2, ge=1)
    """Partial solutions that are kept."""
    expand: int = Field(default=4, ge=1)
    """Next steps sampled for each of them."""
    depth: int = Field(default=40, ge=1)
    """Most steps; unfinished solutions are dropped."""

    async def __call__(self, asked: Asked) -> Found:
        beams: list[Rollout | None] = [None]
        ended: list[Rollout] = []
        tokens = 0
        for depth in range(self.depth):
            grown = await asyncio.gather(*(self._grown(asked, beam, depth) for beam in beams))
            tokens += sum(spent for _, spent in grown)
            fresh = list({r.text: r for rollouts, _ in grown for r in rollouts}.values())
            values, more = await self.values(asked, [r.steps for r in fresh]) if fresh else ([], 0)
            tokens += more
            ranked = sorted(zip(values, fresh, strict=True), key=lambda one: -one[0])[: self.width]
            ended += [r for _, r in ranked if r.answer is not None]
            beams = [r for _, r in ranked if r.answer is None]
            if not beams or len(ended) >= self.width:
                break
        return await self._found(asked, ended, tokens)

    async def _grown(self, asked: Asked, beam: Rollout | None, depth: int) -> tuple[list[Rollout], int]:
        prefix = beam.steps if beam else ()
        seed = seed_of(asked.seed, "beam", asked.problem.id, depth, beam.text if beam else "")
        sampled = await asked.policy.next_steps(asked.problem, prefix, n=self.expand, seed=seed)
        longer = [_joined(beam, r) for r in sampled if r.finish == "stop" and (r.steps or r.answer)]
        return longer, sum(r.tokens for r in sampled)


class Mcts(_Search):
    """A tree of prefixes; each simulation completes the most promising one."""

    kind: Literal["mcts"] = "mcts"
    simulations: int = Field(default=8, ge=1)
    exploration: float = Field(default=0.5, ge=0)
    """Weight of the bonus for rarely completed prefixes."""

    async def __call__(self, asked: Asked) -> Found:
        visits: dict[tuple[str, ...], list[float]] = {(): []}
        steps: dict[tuple[str, ...], tuple[Step, ...]] = {(): ()}
        solutions: list[Rollout] = []
        tokens = 0
        for number in range(self.simulations):
            node = self._promising(visits)
            seed = seed_of(asked.seed, "mcts", asked.problem.id, number)
            (sampled,) = await asked.policy.sample(asked.problem, steps[node], n=1, seed=seed)
            whole = sampled.model_copy(update={"steps": (*steps[node], *sampled.steps)})
            (value,), more = await self.values(asked, [whole.steps])
            tokens += sampled.tokens + more
            solutions.append(whole)
            texts = tuple(step.text for step in whole.steps)
            for count in range(len(texts)):  # the whole solution is not a prefix to continue
                steps.setdefault(texts[:count], whole.steps[:count])
                visits.setdefault(texts[:count], []).append(value)
        return await self._found(asked, solutions, tokens)

    def _promising(self, visits: dict[tuple[str, ...], list[float]]) -> tuple[str, ...]:
        total = sum(map(len, visits.values())) or 1

        def bound(node: tuple[str, ...]) -> float:
            seen = visits[node]
            return sum(seen) / len(seen) + self.exploration * sqrt(log(total + 1) / len(seen)) if seen else inf

        return max(visits, key=bound)


AnySearch = Annotated[BestOfN | Beam | Mcts, Field(discriminator="kind")]


def _joined(before: Rollout | None, rollout: Rollout) -> Rollout:
    if before is None:
        return rollout
    update = {"steps": (*before.steps, *rollout.steps), "tokens": before.tokens + rollout.tokens}
    return rollout.model_copy(update=update)


def _certainty(path: Sequence[Step]) -> float:
    """Return the geometric mean of the tokens' probabilities; 0 where the engine does not report them."""
    if not path or any(step.logprob is None for step in path):
        return 0.0
    tokens = sum(max(1, len(step.token_ids)) for step in path)
    return exp(sum(step.logprob or 0.0 for step in path) / tokens)
