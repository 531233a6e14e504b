"""GRPO with step credit beside GRPO with the outcome alone, at equal rollouts: pass@1 of the embedded policy.

    python -m benchmarks.grpo 1 2 3 --steps 60 --out runs/grpo

Needs TRL beside stepforge (``pip install "trl>=1.16,<2"``); runs on a CPU. All arms take the same prompts, as many
rollouts, the same group-normalized outcome advantage and the same settings. With step credit (``steps``), a wrong
solution's advantage is 0 on the steps before the one at which the value of the embedded reward model falls most; that
model read other problems and costs no rollouts. ``truth`` does so before the true first error: no credit can be better
placed, so it shows what there is to win. Intervals are a bootstrap over problems, the seeds' samples pooled.
"""

import asyncio
import json
import statistics
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.labelers.oracle import judge
from stepforge.pipelines.engines import TransformersEngineSettings
from stepforge.pipelines.engines.model_files import embedded_folder
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.library.rewards import trl_reward
from stepforge.pipelines.run.stages import solve
from stepforge.pipelines.scorers import named_scorer, open_scorer
from stepforge.pipelines.verification.service import step_credit
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Step

Blame = Callable[[str, list[str]], Awaitable[int]]
"""Returns the index of the line at which a wrong solution of a question goes wrong; 0 where that is not known."""
LEVELS = {
    "quantities": (1, 2, 3, 4),
    "linear_equation": (3, 4, 5, 6),
    "number_theory": (3, 4, 5, 6),
    "fractions": (2, 3, 4, 5),
    "sequence": (2, 3, 4, 5),
    "polynomials": (2, 3, 4, 5),
}
"""Those of ``configs/demo.toml``."""
ARMS = ("outcome", "steps", "truth")
TRAIN_SEED, EXAM_SEED = 51_000, 99_000_002
LONGEST = 240
GROUP = 8
PROMPTS = 8
"""Questions in a step; each is answered ``GROUP`` times."""
SAMPLES = 4
RESAMPLES = 2000


def problems(seed: int, count: int) -> list[Problem]:
    """Return problems of each plain family in turn."""
    kinds = {str(part().kind): part for part in ALL_FAMILIES}
    families = [kinds[kind](levels=levels) for kind, levels in LEVELS.items()]
    return [families[i % len(families)].item(seed, i // len(families)) for i in range(count)]


def by_reward_model() -> Blame:
    """Blame the line at which the value of the embedded reward model falls most."""
    scorer = asyncio.run(open_scorer(named_scorer("embedded")))

    async def blame(question: str, lines: list[str]) -> int:
        found = await step_credit(scorer, question, lines)
        return min(range(len(lines)), key=found.steps.__getitem__) if found.steps else 0

    return blame


def by_truth(asked: Sequence[Problem]) -> Blame:
    known = {p.question.strip(): p for p in asked}

    async def blame(question: str, lines: list[str]) -> int:
        classes = judge(known[question], tuple(Step(text=f"{line}\n") for line in lines))
        return next((i for i, one in enumerate(classes) if one in ("wrong", "repaired")), 0)

    return blame


class StepCreditTrainer(GRPOTrainer):  # type: ignore[misc]
    """Puts a wrong solution's advantage on the blamed step and what follows it; TRL takes advantages by token."""

    blame: Blame

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = super()._generate_and_score_completions(inputs)
        ids, advantages = found["completion_ids"], found["advantages"]
        blamed = advantages[:, None].repeat(1, ids.shape[1])
        lengths = found["completion_mask"].sum(1).tolist()
        for i in (advantages < 0).nonzero()[:, 0].tolist():
            texts = [self.processing_class.decode([token]) for token in ids[i, : lengths[i]].tolist()]
            blamed[i, : asyncio.run(self._first_blamed(inputs[i]["question"], texts))] = 0
        found["advantages"] = blamed
        return found

    async def _first_blamed(self, question: str, texts: list[str]) -> int:
        """Return the first token of the blamed line."""
        lines = "".join(texts).removesuffix("<|end|>").splitlines()
        worst = await self.blame(question, lines) if lines else 0
        ends = np.cumsum([text.count("\n") for text in texts])
        return int(np.searchsorted(ends, worst)) + 1 if worst else 0


def train(arm: str, seed: int, steps: int, rate: float, out: Path) -> None:
    """Train a policy into a folder, unless it is there."""
    if (out / "config.json").exists():
        return
    asked = problems(TRAIN_SEED + seed, steps * PROMPTS)
    rows = [{"prompt": f"{p.question.strip()}\n", "question": p.question.strip(), "solution": p.answer} for p in asked]
    config = GRPOConfig(
        output_dir=str(out.with_suffix(".log")),
        learning_rate=rate,
        lr_scheduler_type="constant",
        max_steps=steps,
        per_device_train_batch_size=PROMPTS * GROUP,
        num_generations=GROUP,
        max_completion_length=LONGEST,
        temperature=1.0,
        beta=0.0,
        shuffle_dataset=False,
        seed=seed,
        use_cpu=not torch.cuda.is_available(),
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        save_strategy="no",
        logging_steps=max(1, steps // 6),
        disable_tqdm=True,
    )
    trainer = (GRPOTrainer if arm == "outcome" else StepCreditTrainer)(
        model=AutoModelForCausalLM.from_pretrained(embedded_folder(), dtype=torch.float32),
        reward_funcs=[trl_reward("solution")],
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(embedded_folder()),
    )
    if arm != "outcome":
        trainer.blame = by_reward_model() if arm == "steps" else by_truth(asked)
    trainer.train()
    trainer.model.save_pretrained(out)
    trainer.processing_class.save_pretrained(out)


async def right_shares(model: str, asked: Sequence[Problem]) -> list[float]:
    """Return each problem's share of right solutions at temperature 1."""
    engine = await TransformersEngineSettings(model=model, dtype="float32", batch_size=128).open()
    policy = PromptedPolicy(engine, PolicySettings(max_tokens=LONGEST, answer="stated"))
    async with PooledGrader() as grader:
        rows = await asyncio.gather(*(solve(p, [], policy, grader, n=SAMPLES, seed=EXAM_SEED) for p in asked))
    await engine.close()
    return [sum(r.outcome == "correct" for r in row.rollouts) / SAMPLES for row in rows]


def main(
    seeds: list[int],
    out: Annotated[Path, typer.Option()],
    steps: int = 60,
    rate: float = 1e-4,
    count: Annotated[int, typer.Option("--problems")] = 300,
) -> None:
    """``problems``: how many pass@1 is measured on."""
    torch.set_num_threads(1)
    asked = problems(EXAM_SEED, count)
    shares = {"before": np.array([asyncio.run(right_shares("embedded", asked))])}
    folders = {arm: [out / f"{arm}-{seed}" for seed in seeds] for arm in ARMS}
    for i, seed in enumerate(seeds):
        for arm in ARMS:
            train(arm, seed, steps, rate, folders[arm][i])
    for arm in ARMS:
        shares[arm] = np.array([asyncio.run(right_shares(str(folder), asked)) for folder in folders[arm]])
    drawn = np.random.default_rng(0).integers(0, len(asked), (RESAMPLES, len(asked)))
    gains = {}
    for arm in ARMS[1:]:
        gain = (shares[arm] - shares["outcome"]).mean(0)[drawn].mean(1)
        gains[f"{arm}_less_outcome"] = [round(float(x), 4) for x in (gain.mean(), *np.percentile(gain, [2.5, 97.5]))]
    result = {
        "rollouts": steps * PROMPTS * GROUP,
        "pass_at_1": {name: [round(float(one.mean()), 4) for one in found] for name, found in shares.items()},
        **gains,
        "sd_over_seeds": [round(statistics.pstdev(map(float, shares[arm].mean(1))), 4) for arm in ARMS],
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "grpo.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    typer.run(main)
