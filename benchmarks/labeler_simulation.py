"""Labelers on invented policies: V is known at every prefix, and nothing but completions tells anything.

Usage: python benchmarks/labeler_simulation.py [SEED ...] [--problems N] [--write]

Five kinds of policy, mixed alike: V stays at the base rate until the error (flat), rises to 1 (rising), jumps at one
key step (cliff), is either high or low and unsteady (bimodal), or comes back after the error in 15 % (recovery). Steps
have 15 to 150 tokens. No two rollouts share a step, and there are no log-probabilities.

The comparison, stated before it was measured: all kinds together, first error of wrong solutions named exactly,
``change_point`` with ``sure = 0`` and its default settings, rates pooled from 48 other problems, against the most
accurate of ``omega_prm`` (curtailed, k = 4 and 8) and ``sprt`` whose tokens, solve stage included, times 1.05 are no
fewer. Developed on seeds below 100; figures are from seeds 100, 101 and 102, 200 problems each.
"""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from random import Random
from statistics import mean
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from benchmarks.measured import RESULTS
from stepforge.labelers import SPRT, ChangePoint, Labeler, OmegaPRM
from stepforge.labelers.change_point.model import Observed, posterior
from stepforge.labelers.change_point.rates import Rates
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Completion, Sampling
from stepforge.schemas.rollout import Outcome, PolicyIdentity, Rollout, SolvedProblem, Step
from stepforge.schemas.seeds import rng_of

KINDS = ("flat", "rising", "cliff", "bimodal", "recovery")
IDENTITY = PolicyIdentity(
    model="invented", digest="", engine="", engine_version="", temperature=1, top_p=1, max_tokens=9999, prompt=""
)
PILOT = 48


class World(NamedTuple):
    """A problem, its four solutions, and what only the simulation knows."""

    kind: str
    solved: SolvedProblem
    errors: dict[str, int | None]
    """0-based first error by rollout id."""
    values: dict[str, float]
    """V by the text of a prefix."""


def world(kind: str, seed: int, index: int, scale: int = 1) -> World:
    """Return a problem with at least one right and one wrong solution."""
    rng = rng_of(seed, kind, index)
    base = rng.choice((0.3, 0.92)) if kind == "bimodal" else rng.uniform(0.3, 0.95)
    steps = rng.randint(4, 16)
    tokens = [scale * rng.randint(15, 150) for _ in range(steps)]
    values, errors, rollouts = {"": base}, {}, []
    right = [True, False, rng.random() < base, rng.random() < base]
    for i, ends_right in enumerate(right):
        name = f"{kind}{index}.{i}"
        error = None if ends_right else rng.randrange(steps)
        written = [Step(text=f"{name}.{t}\n", token_ids=(0,) * n) for t, n in enumerate(tokens)]
        text = ""
        for t, value in enumerate(curve(kind, base, steps, error, rng), 1):
            text += written[t - 1].text
            values[text] = value
        errors[name] = error
        rollouts.append(rollout(name, written, ends_right))
    name = f"{kind}{index}"
    problem = Problem(id=name, source=kind, domain="", question="", answer="right", answer_kind="text", group=name)
    return World(kind, SolvedProblem(problem=problem, rollouts=tuple(rollouts), policy=IDENTITY), errors, values)


def curve(kind: str, base: float, steps: int, error: int | None, rng: Random) -> list[float]:
    key = rng.randrange(steps)
    after = 0.15 if kind == "recovery" else 0.02
    width = {"bimodal": 1.0, "cliff": 0.2}.get(kind, 0.3)
    curve = []
    for t in range(1, steps + 1):
        level = base ** (1 - t / steps) if kind in ("rising", "recovery") else base
        if kind == "cliff" and t > key:
            level = 0.96
        if error is not None and t > error:
            level = after
        logit = np.log(level / (1 - min(level, 0.99))) + rng.gauss(0, width)
        curve.append(float(1 / (1 + np.exp(-logit))))
    return curve


def rollout(name: str, steps: Sequence[Step], right: bool) -> Rollout:
    answer, outcome = ("right", "correct") if right else ("wrong", "wrong")
    tokens = sum(len(step.token_ids) for step in steps)
    return Rollout(
        id=name, start=None, steps=tuple(steps), answer=answer, outcome=outcome, finish="stop", tokens=tokens
    )


class InventedPolicy:
    """Goes on from any prefix of the solutions, right with probability V; every step it writes is new."""

    identity = IDENTITY

    def __init__(self, world: World) -> None:
        self._values = world.values
        self._tokens = [len(step.token_ids) for step in world.solved.rollouts[0].steps]

    async def sample(self, problem: Problem, prefix: Sequence[Step], *, n: int, seed: int) -> list[Rollout]:
        """Return completions as long as what is left of the solution, give or take a third."""
        rng, value = Random(seed), self._values["".join(step.text for step in prefix)]
        left = self._tokens[len(prefix) :]
        found = []
        for i in range(n):
            stretch = rng.uniform(0.67, 1.33)
            steps = [Step(text=f"{seed}.{i}.{t}\n", token_ids=(0,) * round(k * stretch)) for t, k in enumerate(left)]
            found.append(rollout(f"{seed}.{i}", steps, rng.random() < value))
        return found

    async def ask(self, text: str, *, n: int, seed: int, sampling: Sampling, chat: bool = False) -> list[Completion]:
        """Invented policies have nothing to say but completions.

        Raises:
            LookupError: always.
        """
        raise LookupError("an invented policy writes completions only")


class InventedGrader:
    """Knows the right answer."""

    async def grade(self, problem: Problem, answers: Sequence[str | None]) -> list[Outcome]:
        return ["correct" if answer == "right" else "wrong" for answer in answers]


class Score(NamedTuple):
    """One labeler on one problem."""

    kind: str
    exact: int
    wrong: int
    abstained: int
    tokens: int
    total: int
    """With the solve stage."""


def label(part: Labeler, invented: World, seed: int) -> LabeledProblem:
    return asyncio.run(part(invented.solved, InventedPolicy(invented), InventedGrader(), seed=seed))


def score(part: Labeler, invented: World, seed: int) -> Score:
    """Label a problem and hold the verdicts on its wrong solutions against the truth."""
    row = label(part, invented, seed)
    wrong = [s for s in row.solutions if s.rollout.outcome == "wrong"]
    exact = sum(s.verdict.first_error == invented.errors[s.rollout.id] and not s.verdict.abstained for s in wrong)
    tokens = row.costs[0].cost.generated_tokens
    solve = sum(r.tokens for r in invented.solved.rollouts)
    abstained = sum(s.verdict.abstained for s in wrong)
    return Score(invented.kind, exact, len(wrong), abstained, tokens, tokens + solve)


def pooled(seed: int) -> Rates:
    """Return rates fitted to other problems, as a run fits them to its pilot."""
    part = ChangePoint(sure=0.0)
    worlds = [world(KINDS[i % len(KINDS)], seed + 1_000_000, i) for i in range(PILOT)]
    return part.fitted_rates([label(part, one, seed) for one in worlds])


def difference(ours: Sequence[Score], theirs: Sequence[Score], draws: int = 2000) -> dict[str, float]:
    """Return the accuracy of ours minus theirs with its 95 % interval, problems drawn anew and paired."""
    hits = np.array([a.exact - b.exact for a, b in zip(ours, theirs, strict=True)], float)
    counts = np.array([a.wrong for a in ours], float)
    drawn = np.random.default_rng(1).multinomial(len(ours), [1 / len(ours)] * len(ours), size=draws)
    found = (drawn @ hits) / (drawn @ counts)
    low, high = np.percentile(found, [2.5, 97.5])
    tokens = sum(a.total for a in ours) / sum(b.total for b in theirs)
    return {
        "difference": round(float(hits.sum() / counts.sum()), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        "token_ratio": round(tokens, 3),
    }


def compared(seeds: Sequence[int], problems: int) -> dict[str, Any]:
    """Return accuracy and tokens of every labeler, and the comparison stated above."""
    scores: dict[str, list[Score]] = defaultdict(list)
    for seed in seeds:
        worlds = [world(KINDS[i % len(KINDS)], seed, i) for i in range(problems)]
        for name, part in settings(pooled(seed)).items():
            scores[name] += [score(part, one, seed) for one in worlds]
    rivals = {name: difference(scores["change_point"], scores[name]) for name in scores if name != "change_point"}
    return {"seeds": [*seeds], "problems": problems, "rows": [row(n, s) for n, s in scores.items()], "against": rivals}


def settings(rates: Rates) -> dict[str, Labeler]:
    return {
        "change_point": ChangePoint(sure=0.0, rates=rates),
        "change_point, default rates": ChangePoint(sure=0.0),
        "change_point, budget 12": ChangePoint(sure=0.0, rates=rates, budget=12),
        "omega_prm, curtailed, k = 4": OmegaPRM(k=4, grow=False, curtailed=True),
        "omega_prm, curtailed, k = 8": OmegaPRM(k=8, grow=False, curtailed=True),
        "sprt": SPRT(),
        "sprt, most 4": SPRT(most=4),
    }


def row(name: str, scores: Sequence[Score]) -> dict[str, Any]:
    by_kind: dict[str, list[Score]] = defaultdict(list)
    for one in scores:
        by_kind[one.kind].append(one)
    wrong = sum(s.wrong for s in scores)
    return {
        "labeler": name,
        "first_error_accuracy": round(sum(s.exact for s in scores) / wrong, 4),
        "abstained": round(sum(s.abstained for s in scores) / wrong, 4),
        "generated_tokens_per_problem": round(mean(s.tokens for s in scores)),
        "total_tokens_per_problem": round(mean(s.total for s in scores)),
        "by_kind": {k: round(sum(s.exact for s in v) / sum(s.wrong for s in v), 4) for k, v in by_kind.items()},
    }


def milliseconds(steps: int) -> float:
    """Return the processor time of one posterior of a solution of so many steps."""
    rng = np.random.default_rng(0)
    right, wrong, left_right, left_wrong = (rng.integers(0, 3, steps).astype(float) for _ in range(4))
    seen = Observed(False, right, wrong, left_right, left_wrong, rng.random(steps))
    began = time.process_time()
    for _ in range(5):
        posterior(seen, Rates())
    return (time.process_time() - began) * 200


def main(seeds: Annotated[list[int] | None, typer.Argument()] = None, problems: int = 200, write: bool = False) -> None:
    """``write``: the results file, too."""
    result = compared(seeds or [100, 101, 102], problems)
    result["cpu_milliseconds_of_a_posterior_of_500_steps"] = round(milliseconds(500), 1)
    for one in result["rows"]:
        kinds = " ".join(f"{k} {v:.2f}" for k, v in one["by_kind"].items())
        print(f"{one['labeler']:<30}{one['first_error_accuracy']:.3f} {one['total_tokens_per_problem']:>7,} {kinds}")
    for name, found in result["against"].items():
        print(f"change_point minus {name}: {found}")
    print(f"posterior of 500 steps: {result['cpu_milliseconds_of_a_posterior_of_500_steps']} ms")
    if write:
        (RESULTS / "labeler_simulation.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
