"""The usefulness benchmark: draw, label, train, examine, write. Everything drawn or trained is kept and used again."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.usefulness.arms import CONSENSUS, ORACLE, arms, labeling_cost
from benchmarks.usefulness.kept import Opening
from benchmarks.usefulness.labeling import Labeled, by_agreement, by_oracle, labeling_tokens, pooled
from benchmarks.usefulness.policy_bench import PolicyBench, check_trainer
from benchmarks.usefulness.pools import solved_pool, without
from benchmarks.usefulness.prm_bench import Exams, Reader, train_arms, untrained
from benchmarks.usefulness.prm_exam import Case
from benchmarks.usefulness.prm_figures import BestOfN, PrmFigures, compared
from benchmarks.usefulness.recording import Recording
from benchmarks.usefulness.result import Drawn, ExamSize, LabelQuality, PoolSize, Result
from benchmarks.usefulness.settings import NamedLabeler, UsefulnessFile
from stepforge.filters.difficulty import Difficulty
from stepforge.filters.dropped import Corpus, Dropped
from stepforge.labelers import PooledLabeler
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.reports.label_accuracy import accuracies, judge_problem
from stepforge.pipelines.storage.store import write_text
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.protocols import Grader
from stepforge.schemas.rollout import SolvedProblem

Say = Callable[[str], None]
Pools = dict[str, list[SolvedProblem]]
PILOT = 48
"""Problems from whose evidence the rates of ``change_point`` are pooled, as a run does."""


class UsefulnessBench:
    """One benchmark and its folder."""

    def __init__(
        self, settings: UsefulnessFile, folder: Path, say: Say, trl_python: Path | None, reward_models: bool
    ) -> None:
        self.settings = settings
        self.folder = folder
        self.say = say
        self.trl_python = trl_python
        self.reward_models = reward_models

    def run(self) -> Result:
        """Do everything that is not done yet and return the figures.

        Raises:
            BadInput: TRL's interpreter is missing, or too few problems are worth labeling.
            RunFailed: a trainer failed.
        """
        if self.trl_python is not None:
            check_trainer(self.trl_python)
        return asyncio.run(self._run())

    async def _run(self) -> Result:
        result = Result()
        async with PooledGrader() as grader:
            if self.reward_models:
                result = await self._all_of_reward_models(grader)
            if self.trl_python is not None and self.settings.train_policy:
                began = time.monotonic()
                bench = PolicyBench(self.settings, self.folder / "policies", self.trl_python, self.say)
                policies = tuple(await bench.run(grader))
                seconds = {**result.seconds, "policies": round(time.monotonic() - began)}
                result = result.model_copy(update={"policies": policies, "seconds": seconds})
        return result

    async def _all_of_reward_models(self, grader: Grader) -> Result:
        began = time.monotonic()
        pools, labels, sampling = await self.drawn_and_labeled(grader)
        drawn = time.monotonic()
        found = self._reward_models(pools, labels, sampling)
        seconds = {
            "drawing and labeling": round(drawn - began),
            "reward models": round(time.monotonic() - drawn),
        }
        return found.model_copy(update={"seconds": seconds})

    async def drawn_and_labeled(self, grader: Grader) -> tuple[Pools, dict[str, list[LabeledProblem]], float]:
        """Return the pools, the labels of the training pool, and what sampling one labeled problem cost in tokens."""
        s = self.settings
        opening = Opening(s.engine, s.policy)
        try:
            pools = {
                name: await solved_pool(pool, self.folder / "pools" / name, opening, grader, self.say)
                for name, pool in s.pools.items()
            }
            rows = self._worth_labeling(pools["train"])
            recording = Recording(self.folder / "recorded", s.seed)
            labels = {n.name: await self._labeled(n, rows, recording, opening, grader) for n in s.label}
        finally:
            await opening.close()
        first, second = (labels[name] for name in s.consensus_of)
        size = min(len(first), len(second))
        labels[CONSENSUS] = by_agreement(first[:size], second[:size])
        labels[ORACLE] = by_oracle(rows)
        pools = {name: without(rows, pools["train"]) if name != "train" else rows for name, rows in pools.items()}
        return pools, labels, sum(r.tokens for row in pools["train"] for r in row.rollouts) / len(rows)

    def _worth_labeling(self, rows: Sequence[SolvedProblem]) -> list[SolvedProblem]:
        vet = Difficulty(min_pass_rate=self.settings.min_pass_rate, max_pass_rate=self.settings.max_pass_rate)
        kept = [row for row in rows if not isinstance(vet(row, Corpus()), Dropped)]
        if len(kept) < self.settings.equal_problems:
            raise BadInput(f"equal_problems: only {len(kept)} problems of the training pool are worth labeling")
        return kept

    async def _labeled(
        self, named: NamedLabeler, rows: Sequence[SolvedProblem], recording: Recording, opening: Opening, grader: Grader
    ) -> list[LabeledProblem]:
        part: Any = named.part
        folder = self.folder / "labeled"
        if isinstance(part, PooledLabeler) and part.pilot:
            name = f"{named.name}_pilot"
            pilot = Labeled(name, part, recording, opening, grader, folder)
            part = pooled(part, await pilot.of(rows[:PILOT]), folder / name / "rates.json")
        self.say(f"labeling: {named.name}")
        kept = rows if named.everywhere else rows[: self.settings.equal_problems]
        return await Labeled(named.name, part, recording, opening, grader, folder).of(kept)

    def _composition(self, pools: Pools, labels: dict[str, list[LabeledProblem]], sampling: float) -> Drawn:
        return Drawn(
            pools={name: PoolSize(problems=len(rows), pass_at_1=_pass(rows)) for name, rows in pools.items()},
            labeled_problems=len(labels[ORACLE]),
            sampling_tokens_a_labeled_problem=round(sampling, 1),
            labels=tuple(self._quality(name, rows) for name, rows in labels.items()),
        )

    def _quality(self, name: str, rows: Sequence[LabeledProblem]) -> LabelQuality:
        same = rows[: self.settings.equal_problems]
        judged = [j for row in same for found in judge_problem(row).values() for j in found]
        tokens = round(sum(labeling_tokens(row) for row in same) / len(same), 1)
        found = {key: round(v, 4) if isinstance(v, float) else v for key, v in accuracies(judged).items()}
        return LabelQuality(labels=name, labeling_tokens_a_problem=tokens, accuracies=found)

    def _reward_models(self, pools: Pools, labels: dict[str, list[LabeledProblem]], sampling: float) -> Result:
        s = self.settings
        reader = Reader(self.folder / "readings", self.say)
        exams = Exams(pools, s.exam, s.per_problem, reader)
        made = arms(s, labels, sampling)
        self.say(f"{len(made)} reward models to train")
        trained = train_arms(made, exams, reader, self.folder / "heads", self.say)
        figures = PrmFigures(s, exams.problems)
        chosen = compared(trained, labeling_cost(sum(labeling_tokens(row) for row in labels[s.reference])))
        self.say("best of N")
        return Result(
            drawn=self._composition(pools, labels, sampling),
            exams={name: ExamSize(solutions=len(c), erroneous=_erroneous(c)) for name, c in exams.cases.items()},
            reward_models=tuple(figures.rows(trained, untrained(exams))),
            differences=tuple(figures.differences(trained)),
            best_of_n=tuple(BestOfN(s, pools, reader).rows(chosen)),
        )


def run_bench(
    settings: UsefulnessFile, folder: Path, out: Path, say: Say, trl_python: Path | None, reward_models: bool = True
) -> Result:
    """Run the benchmark, or one part of it, and commit its figures to ``out``; the other part's stay there."""
    found = UsefulnessBench(settings, folder, say, trl_python, reward_models).run()
    result = read_result(out) if out.exists() else Result()
    new = {name: getattr(found, name) for name in Result.model_fields if getattr(found, name)}
    result = result.model_copy(update={**new, "seconds": {**result.seconds, **found.seconds}})
    write_text(out, as_text(result))
    return result


def read_result(path: Path) -> Result:
    return Result.model_validate_json(path.read_text(encoding="utf-8"))


def as_text(result: Result) -> str:
    """Return the figures as JSON with one row per line; thresholds were chosen on ``dev``, so its rows are left out."""
    parts = []
    for name, value in result.model_dump(mode="json", exclude_none=True).items():
        if isinstance(value, list):
            rows = [json.dumps(row, separators=(",", ":")) for row in value if row.get("exam") != "dev"]
            parts.append(f"{json.dumps(name)}: [\n" + ",\n".join(rows) + "\n]")
        else:
            parts.append(f"{json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _pass(rows: Sequence[SolvedProblem]) -> float:
    return round(sum(row.pass_rate or 0.0 for row in rows) / max(len(rows), 1), 4)


def _erroneous(cases: Sequence[Case]) -> int:
    return sum(case.first_error is not None for case in cases)
