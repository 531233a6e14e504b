"""How often the settled answers of written problems are wrong, on families whose truth is known, and at what yield.

    python -m benchmarks.written RUN      # a run made for benchmarks/agreement.py

Every problem of the run is a seed. The writer is a program: asked for other numbers, it gives another problem of the
same family, whose truth is known to this measurement and to nobody else. The solver is a model: the policy that made
the run, by the solutions that it wrote there. `Written` then does what it does in any run. An answer is settled by
agreement alone, so this is the hardest of its ways: a rephrased or backward problem also has an expected answer.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from random import Random

import typer

from benchmarks.agreement import read
from benchmarks.measured import with_interval
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.generators.problem_sets import SourceItem
from stepforge.generators.written import Refused, Written
from stepforge.generators.written.source import Seeds
from stepforge.grading.verdict import decide
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.library.own_function import FunctionEngine
from stepforge.schemas.rollout import SolvedProblem

THRESHOLDS = (0.5, 0.625, 0.75, 0.875, 1.0)


class Recorded:
    """Writes another problem of the seed's family, and solves it as the policy did."""

    def __init__(self, rows: Sequence[SolvedProblem]) -> None:
        self.rows = {row.problem.question.strip(): row for row in rows}
        self.families: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            self.families[row.problem.source].append(row.problem.question.strip())
        self.left: dict[str, list[str]] = {}

    async def __call__(self, text: str, seed: int) -> str:
        if "Reply in this form" in text:
            question = text.partition("The problem:\n")[2].partition("\n\nReply in this form")[0].strip()
            others = [other for other in self.families[self.rows[question].problem.source] if other != question]
            written = Random(seed).choice(others) if others else question
            texts = [rollout.text for rollout in self.rows[written].rollouts]
            self.left[written] = Random(seed).sample(texts, len(texts))
            return f"Problem: {written}"
        return self.left[text.strip()].pop()


async def settle(rows: Sequence[SolvedProblem], threshold: float) -> tuple[int, int, Counter[str]]:
    """Return how many answers were settled, how many of them wrongly, and why the others were refused."""
    recorded = Recorded(rows)
    policy = PromptedPolicy(FunctionEngine(recorded, name="recorded"), PolicySettings(answer="stated"))
    part = Written.model_validate(
        {"seeds": {"kind": "quantities"}, "ways": {"numbers": 1.0}, "chat": False, "min_agreement": threshold}
    )
    settled = wrong = 0
    refused: Counter[str] = Counter()
    grader = PooledGrader()
    for number, row in enumerate(rows):
        seeds = Seeds(SourceItem(problem=row.problem), lambda: None)
        made = (await part.make(number, seeds, policy, grader, seed=1)).made
        if isinstance(made, Refused):
            refused[made.reason] += 1
            continue
        settled += 1
        truth = recorded.rows[made.problem.question].problem
        wrong += decide(truth.answer, made.problem.answer, truth.answer_kind) != "correct"
    await grader.close()
    return settled, wrong, refused


def main(run: Path) -> None:
    rows = read(run)
    for threshold in THRESHOLDS:
        settled, wrong, refused = asyncio.run(settle(rows, threshold))
        tried = settled + refused["its solutions do not agree"]
        settled_wrong = with_interval(wrong, settled, ".4f")
        del refused["its solutions do not agree"]
        print(
            f"agreement {threshold:5} settled {settled / tried:.3f} of {tried}, wrong {settled_wrong}; "
            f"not asked: {dict(refused)}"
        )


if __name__ == "__main__":
    typer.run(main)
