"""What a reward model saves: cascades beside single labelers, and search beside majority at equal tokens.

    python -m benchmarks.cascade_and_search --scorer head.toml --rates runs/x/rates.json [--part labels]

Problems of all families in free wording, asked of the embedded policy in this process, without Ray. ``--scorer`` is a
TOML of settings as under ``[scorer]`` whose head was trained on problems of other seeds; ``--rates`` are what such a
run pooled. Intervals are a bootstrap over problems. Nothing is chosen here: thresholds and settings are defaults.
"""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.generators.search import Asked, Beam, BestOfN, Found, Mcts
from stepforge.grading.votes import equal_answers
from stepforge.labelers import AnyPart, Cascade, ChangePoint, OmegaPRM, RewardModel, Sequential
from stepforge.labelers.change_point.rates import Rates
from stepforge.labelers.reward_model import Calibration
from stepforge.pipelines.engines import TransformersEngineSettings, open_engine
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.reports.label_accuracy import counted, judge_problem, label_figures
from stepforge.pipelines.run.stages import label, solve, with_scores
from stepforge.pipelines.scorers import named_scorer, open_scorer
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Scorer
from stepforge.schemas.rollout import Rollout, SolvedProblem

SEED = 9101
RESAMPLES = 2000
BUDGETS = (2, 4, 8)
"""Whole solutions that each way of answering may cost, in tokens of an average one."""


def problems(count: int, seed: int) -> list[Problem]:
    families = [part(wording="free", levels=(1, 2, 3, 4)) for part in ALL_FAMILIES]
    return [families[i % len(families)].item(seed, i // len(families)) for i in range(count)]


def labelers(rates: Rates, calibration: Calibration) -> dict[str, AnyPart]:
    """Return the labelers to compare; the informed tier was chosen on the problems of seed 9201, and on no others."""
    search = ChangePoint(rates=rates, pilot=0)
    first = RewardModel(sure=0, calibration=calibration)
    scored = {"prior": "reward_model", "calibration": first.calibration}
    informed = search.model_copy(update={**scored, "sure": 0, "budget": 4})
    return {
        "reward_model": first,
        "change_point": search,
        "change_point, never abstaining": search.model_copy(update={"sure": 0}),
        "sequential": Sequential(),
        "omega_prm": OmegaPRM(grow=False),
        "change_point, scores as prior": search.model_copy(update=scored),
        **{
            f"cascade over {name}, sure {sure:g}": Cascade(first=first, tiers=(tier,), sure=sure)
            for name, tier in (("change_point", search), ("sequential", Sequential()), ("the informed one", informed))
            for sure in (0.5, 0.6, 0.75)
        },
    }


def remembering(complete: Any) -> Any:
    """Sample each completion once, whichever labeler asks for it; what each labeler is charged stays the same."""
    known: dict[Any, asyncio.Future[Any]] = {}

    async def answer(prompt: Any, *, seed: int, sampling: Any) -> Any:
        key = (prompt.token_ids, seed, sampling)
        if key not in known:
            known[key] = asyncio.ensure_future(complete(prompt, seed=seed, sampling=sampling))
        return await asyncio.shield(known[key])

    return answer


async def compare_labelers(
    rows: Sequence[SolvedProblem], parts: dict[str, AnyPart], policy: PromptedPolicy, grader: PooledGrader
) -> list[dict[str, object]]:
    """Return F1 against the oracle and tokens of each labeler, with the difference to the best that asks no scores."""
    tokens, marks = {}, {}
    for name, part in parts.items():
        labeled = await asyncio.gather(*(label(row, [part], policy, grader, seed=SEED) for row in rows))
        tokens[name] = np.array([sum(entry.cost.generated_tokens for entry in row.costs) for row in labeled])
        marks[name] = [counted(one for judged in judge_problem(row).values() for one in judged) for row in labeled]
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(rows), (RESAMPLES, len(rows)))
    whole = {name: _f1(found) for name, found in marks.items()}
    samples = {name: np.array([_f1([found[i] for i in pick]) for pick in drawn]) for name, found in marks.items()}
    singles = (name for name in parts if not name.startswith("cascade") and "scores" not in name)
    best = max(singles, key=whole.__getitem__)
    rows_out = []
    for name in parts:
        share = tokens[name][drawn].sum(1) / np.maximum(tokens[best][drawn].sum(1), 1)
        rows_out.append(
            {
                "labeler": name,
                "f1": round(whole[name], 4),
                "interval": _interval(samples[name]),
                "f1_less_best_single": _interval(samples[name] - samples[best]),
                "tokens": int(tokens[name].sum()),
                "share_of_best_singles_tokens": _interval(share),
                "best_single": name == best,
            }
        )
    return rows_out


def _f1(marks: Sequence[Counter[str]]) -> float:
    return label_figures(sum(marks, Counter())).processbench_f1_all_erroneous or 0.0


async def compare_searches(
    asked: Sequence[Problem], policy: PromptedPolicy, grader: PooledGrader, scorer: Scorer
) -> list[dict[str, object]]:
    """Return the share of problems answered rightly by each way, and the tokens it took, budget by budget."""
    shares: dict[tuple[str, int], list[tuple[float, int]]] = defaultdict(list)

    async def one(problem: Problem) -> None:
        at_hand = Asked(problem, policy, grader, scorer, SEED)
        sampled = await BestOfN(n=2 * max(BUDGETS), value="certainty")(at_hand)
        mean = sum(r.tokens for r in sampled.solutions) / len(sampled.solutions)
        for n in BUDGETS:
            ways: dict[str, Found] = {
                "best_of_n, scorer": await BestOfN(n=n)(at_hand),
                "best_of_n, certainty": await BestOfN(n=n, value="certainty")(at_hand),
                "beam, scorer": await Beam(width=max(1, n // 2), expand=2)(at_hand),
                "mcts, scorer": await Mcts(simulations=n)(at_hand),
            }
            for name, found in ways.items():
                best = found.solutions[:1]
                shares[name, n].append((await _right(problem, best, grader), found.tokens))
                if name != "beam, scorer":
                    shares[f"{name}, weighted vote", n].append(
                        (await _right(problem, _vote(problem, found.solutions, found.values), grader), found.tokens)
                    )
                # majority of as many independent samples as these tokens pay for
                paid = max(1, min(len(sampled.solutions), round(found.tokens / max(mean, 1))))
                others = sorted(sampled.solutions, key=lambda r: r.id)[:paid]
                spent = sum(r.tokens for r in others)
                vote = _vote(problem, others, [1.0] * len(others))
                shares[f"majority at the tokens of {name}", n].append((await _right(problem, vote, grader), spent))

    await asyncio.gather(*(one(problem) for problem in asked))
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(asked), (RESAMPLES, len(asked)))
    rows = []
    for (name, n), values in sorted(shares.items(), key=lambda item: (item[0][1], item[0][0])):
        right = np.array([share for share, _ in values])
        rows.append(
            {
                "way": name,
                "n": n,
                "right": round(float(right.mean()), 4),
                "interval": _interval(right[drawn].mean(1)),
                "tokens_per_problem": round(float(np.mean([tokens for _, tokens in values])), 1),
            }
        )
    return rows


async def _right(problem: Problem, chosen: Sequence[Rollout], grader: PooledGrader) -> float:
    outcomes = await grader.grade(problem, [r.answer for r in chosen])
    return outcomes.count("correct") / len(outcomes) if outcomes else 0.0


def _vote(problem: Problem, solutions: Sequence[Rollout], weights: Sequence[float]) -> list[Rollout]:
    """Return a solution with the answer that has the largest sum of weights."""
    answered = [(r, w) for r, w in zip(solutions, weights, strict=True) if r.answer is not None]
    leaders = equal_answers([r.answer for r, _ in answered if r.answer is not None], problem.answer_kind)
    sums: dict[str, float] = defaultdict(float)
    for rollout, weight in answered:
        sums[leaders[rollout.answer or ""]] += weight
    winner = max(sums, key=lambda answer: sums[answer], default=None)
    return [r for r, _ in answered if leaders[r.answer or ""] == winner][:1]


def _interval(values: Any) -> list[float]:
    return [round(float(x), 4) for x in np.percentile(values, [2.5, 97.5])]


Part = Literal["labels", "search", "all"]


async def measure(
    scorer: Scorer, parts: dict[str, AnyPart], asked: list[Problem], solutions: int, part: Part
) -> list[dict[str, object]]:
    engine = await open_engine(TransformersEngineSettings(model="embedded-free", logprobs=True, batch_size=128))
    policy = PromptedPolicy(engine, PolicySettings(temperature=0.7, max_tokens=480, answer="stated"))
    found = []
    async with PooledGrader() as grader:
        if part != "search":
            solving = (solve(p, [], policy, grader, n=solutions, seed=SEED) for p in asked)
            rows = [(await with_scores(row, scorer))[0] for row in await asyncio.gather(*solving)]
            engine.complete = remembering(engine.complete)  # type: ignore[method-assign]
            found += await compare_labelers(rows, parts, policy, grader)
        if part != "labels":
            found += await compare_searches(asked, policy, grader, scorer)
    await engine.close()
    return found


def main(
    scorer: Annotated[str, typer.Option()],
    rates: Annotated[Path, typer.Option()],
    slope: float = 1.0,
    intercept: float = 0.0,
    seed: int = SEED,
    count: Annotated[int, typer.Option("--problems")] = 120,
    solutions: int = 4,
    only: Annotated[list[str] | None, typer.Option()] = None,
    part: Part = "all",
) -> None:
    """``slope`` and ``intercept``: of the calibration, as stepforge score prints it; ``only``: labelers to compare."""
    pooled = Rates.model_validate(json.loads(rates.read_text())["rates"])
    every = labelers(pooled, Calibration(slope=slope, intercept=intercept))
    parts = {name: every[name] for name in only or every}

    async def everything() -> list[dict[str, object]]:
        loaded = await open_scorer(named_scorer(scorer))
        try:
            return await measure(loaded, parts, problems(count, seed), solutions, part)
        finally:
            await loaded.close()

    for row in asyncio.run(everything()):
        print(*(f"{key}={value}" for key, value in row.items()))


if __name__ == "__main__":
    typer.run(main)
