"""What a reward model saves: cascades beside single labelers, and search beside majority at equal tokens.

    python -m benchmarks.cascade_and_search --scorer head.toml --rates runs/x/rates.json [--part labels] [--json]

Problems of all families in free wording, asked of the embedded policy in this process, without Ray. ``--scorer`` is a
TOML of settings as under ``[scorer]`` whose head was trained on problems of other seeds; ``--rates`` are what such a
run pooled. Intervals are a bootstrap over problems. Nothing is chosen here: thresholds and settings are defaults.
"""

import argparse
import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.generators.search import Asked, Beam, BestOfN, Found, Mcts
from stepforge.grading.votes import equal_answers
from stepforge.labelers import AnyPart, Cascade, ChangePoint, OmegaPRM, RewardModel, Sequential
from stepforge.labelers.change_point.rates import Rates
from stepforge.pipelines.engines import TransformersEngineSettings, open_engine
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.reports.label_accuracy import counted, judge_problem, label_figures
from stepforge.pipelines.run.stages import label, solve, with_scores
from stepforge.pipelines.scorers import open_scorer
from stepforge.pipelines.scorers.named import named_scorer
from stepforge.schemas.labeled import Cost, LabeledProblem
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Rollout, SolvedProblem

SEED = 9101
RESAMPLES = 2000
BUDGETS = (2, 4, 8)
"""Whole solutions that each way of answering may cost, in tokens of an average one."""


def problems(count: int, seed: int) -> list[Problem]:
    families = [part(wording="free", levels=(1, 2, 3, 4)) for part in ALL_FAMILIES]
    return [families[i % len(families)].item(seed, i // len(families)) for i in range(count)]


def labelers(rates: Rates, calibration: dict[str, float]) -> dict[str, AnyPart]:
    """Return what is compared; the informed tier was chosen on the problems of seed 9201, and on no others."""
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
) -> list[dict[str, Any]]:
    """Return F1 against the oracle and tokens of each labeler, with the difference to the best that asks no scores."""
    found: dict[str, list[LabeledProblem]] = {}
    for name, part in parts.items():
        found[name] = list(await asyncio.gather(*(label(row, [part], policy, grader, seed=SEED) for row in rows)))
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(rows), (RESAMPLES, len(rows)))
    samples = {name: np.array([_f1(labeled, pick) for pick in drawn]) for name, labeled in found.items()}
    tokens = {name: np.array([_cost(row).generated_tokens for row in labeled]) for name, labeled in found.items()}
    every = np.arange(len(rows))
    single = [name for name in found if not name.startswith("cascade") and "scores" not in name]
    best = max(single, key=lambda name: _f1(found[name], every))
    rows_out = []
    for name, labeled in found.items():
        share = tokens[name][drawn].sum(1) / np.maximum(tokens[best][drawn].sum(1), 1)
        rows_out.append(
            {
                "labeler": name,
                "f1": round(_f1(labeled, every), 4),
                "interval": _interval(samples[name]),
                "f1_less_best_single": _interval(samples[name] - samples[best]),
                "tokens": int(tokens[name].sum()),
                "share_of_best_singles_tokens": _interval(share),
                "best_single": name == best,
            }
        )
    return rows_out


def _f1(rows: Sequence[LabeledProblem], pick: Any) -> float:
    counts = counted(one for i in pick for judged in _judged(rows[i]).values() for one in judged)
    return label_figures(counts).processbench_f1_all_erroneous or 0.0


_JUDGED: dict[int, Any] = {}


def _judged(row: LabeledProblem) -> Any:
    if id(row) not in _JUDGED:
        _JUDGED[id(row)] = judge_problem(row)
    return _JUDGED[id(row)]


def _cost(row: LabeledProblem) -> Cost:
    return sum((entry.cost for entry in row.costs), Cost())


async def compare_searches(
    asked: Sequence[Problem], policy: PromptedPolicy, grader: PooledGrader, scorer: Any
) -> list[dict[str, Any]]:
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


async def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    engine = await open_engine(TransformersEngineSettings(model="embedded-free", logprobs=True, batch_size=128))
    policy = PromptedPolicy(engine, PolicySettings(temperature=0.7, max_tokens=480, answer="stated"))
    scorer = await open_scorer(named_scorer(chosen.scorer))
    rates = Rates.model_validate(json.loads(chosen.rates.read_text())["rates"])
    result: dict[str, Any] = {"problems": chosen.problems, "solutions": chosen.solutions, "seed": chosen.seed}
    async with PooledGrader() as grader:
        asked = problems(chosen.problems, chosen.seed)
        if chosen.part in ("labels", "all"):
            solving = (solve(p, [], policy, grader, n=chosen.solutions, seed=SEED) for p in asked)
            rows = [(await with_scores(row, scorer))[0] for row in await asyncio.gather(*solving)]
            calibration = {"slope": chosen.slope, "intercept": chosen.intercept}
            parts = {
                name: part for name, part in labelers(rates, calibration).items() if name in (chosen.only or [name])
            }
            engine.complete = remembering(engine.complete)  # type: ignore[method-assign]
            result["labels"] = await compare_labelers(rows, parts, policy, grader)
        if chosen.part in ("search", "all"):
            result["search"] = await compare_searches(asked, policy, grader, scorer)
    await scorer.close()
    await engine.close()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scorer", required=True)
    parser.add_argument("--rates", type=Path, required=True)
    parser.add_argument("--slope", type=float, default=1.0, help="of the calibration, as stepforge score prints it")
    parser.add_argument("--intercept", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--problems", type=int, default=120)
    parser.add_argument("--solutions", type=int, default=4)
    parser.add_argument("--only", nargs="+", metavar="LABELER", help="labelers to compare, by their names in the table")
    parser.add_argument("--part", choices=("labels", "search", "all"), default="all")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    found = asyncio.run(measure(chosen))
    if chosen.json:
        print(json.dumps(found, indent=1))
        return
    for part in ("labels", "search"):
        for row in found.get(part, []):
            print(*(f"{key}={value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
