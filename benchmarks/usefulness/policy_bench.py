"""The policies: a real run's data sets, TRL's trainers on them in TRL's own environment, pass@1 before and after.

The policies are examined on other problems of the run's families, and on a family that it leaves out. Sampled at
temperature 1, as in every run, and greedily. All that is drawn and trained is kept in the folder.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow.parquet as pq

from benchmarks.usefulness.prm_exam import interval
from stepforge.filters.duplicates import question_key
from stepforge.generators.families.fractions import FractionChain
from stepforge.generators.families.linear import LinearEquation
from stepforge.generators.families.number_theory import NumberTheory
from stepforge.generators.families.polynomials import Polynomials
from stepforge.generators.families.quantities import Quantities
from stepforge.generators.families.sequences import Sequence as Sequences
from stepforge.generators.family import Family
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.generators.segmenters import Line
from stepforge.pipelines.bench.measure import Array, resamples
from stepforge.pipelines.engines import AnyEngine, ScriptedEngineSettings, VllmEngineSettings
from stepforge.pipelines.engines.model_files import embedded_folder
from stepforge.pipelines.run.stages import solve
from stepforge.pipelines.storage.shards import read_shard, write_shard
from stepforge.schemas.errors import BadInput, RunFailed
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Grader
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem


class Arm(NamedTuple):
    """One way to train the policy; rates and steps were chosen on other problems than the exam's, with one seed."""

    name: str
    method: Literal["sft", "dpo"]
    rows: Mapping[str, int]
    """Exports that it learns from, and the most rows of each, spread evenly; 0 for all."""
    rate: float
    steps: int
    next_step: bool = False
    """Whether its pairs are single steps, after which there must be no end of text."""
    sft_weight: float = 0.0
    """Of the chosen text's own loss beside DPO's."""


class Pool(NamedTuple):
    seed: int
    problems: int
    families: Sequence[Family]

    def without(self, asked: set[str]) -> list[Problem]:
        """Return the problems, families taking turns, no question twice and none of those asked (``question_key``)."""
        drawn = (self.families[i % len(self.families)].item(self.seed, i) for i in count())
        distinct: dict[str, Problem] = {}
        for problem in drawn:
            distinct.setdefault(question_key(problem.question), problem)
            if len(distinct) == self.problems:
                break
        return [problem for key, problem in distinct.items() if key not in asked]


ARMS = (
    Arm("SFT on right solutions", "sft", {"rejection_sampling": 0}, 3e-4, 120),
    Arm("SFT on right solutions and 60 reflections", "sft", {"rejection_sampling": 0, "reflection": 60}, 3e-4, 120),
    Arm("DPO on step pairs", "dpo", {"step_preference": 0}, 1e-4, 100, next_step=True, sft_weight=1.0),
    Arm("DPO on solution pairs", "dpo", {"preference": 0}, 1e-4, 60, sft_weight=1.0),
)
KNOWN = (
    Quantities(levels=(3, 4)),
    LinearEquation(levels=(5, 6)),
    NumberTheory(levels=(4, 5, 6)),
    FractionChain(levels=(2, 3, 4, 5, 6)),
    Polynomials(levels=(5, 6)),
)
POOLS = {"fresh": Pool(9110, 300, KNOWN), "left_out": Pool(9111, 100, (Sequences(levels=(4, 5, 6)),))}
ENGINE = VllmEngineSettings(model="embedded", threads=1, logprobs=True)
POLICY = PolicySettings(max_tokens=240, segmenter=Line(), answer="stated")
SEED, TRAINING_SEEDS, RESAMPLES = 9100, (1, 2, 3), 1000
SAMPLES = 4
"""Solutions of each problem of the exam at temperature 1."""
BASE = "before training"
TRAINER_SCRIPT = Path("benchmarks/usefulness/trl_policies.py")
TRAINING_SECONDS = 3600
WAYS = {"temperature 1": 1.0, "greedy": 0.0}
Interval = tuple[float, float, float]
"""A figure and the ends of its 95 % interval."""
Rates = dict[tuple[str, str], Array]
"""Share of right solutions of each problem, by (pool, way of decoding); one that breaks off is no right one."""


class PolicyRow(Record):
    policy: str
    pool: str
    decoding: str
    problems: int
    training_rows: int
    pass_at_1: Interval
    gain: Interval
    by_seed: tuple[float, ...]


def check_trainer(python: Path) -> None:
    """See whether TRL is there. Raises BadInput: it is not, or this is not the repository's root."""
    if not TRAINER_SCRIPT.is_file():
        raise BadInput(f"{TRAINER_SCRIPT}: no such file; run this from the repository's root")
    try:
        there = subprocess.run([python, "-c", "import trl"], capture_output=True, timeout=300).returncode == 0
    except OSError:
        there = False
    if not there:
        raise BadInput(f"{python}: TRL is not there; `make consumers` makes .consumers/trl/bin/python")


@dataclass
class PolicyBench:
    """Trains each arm under each seed and samples it on problems that nothing was trained on."""

    folder: Path
    python: Path
    """That has TRL."""
    run_file: Path = Path("configs/rounds.toml")
    """Makes the data sets; from the repository's root."""
    arms: Sequence[Arm] = ARMS
    pools: Mapping[str, Pool] = field(default_factory=lambda: POOLS)
    engine: AnyEngine = ENGINE

    @property
    def datasets(self) -> Path:
        return self.folder / "run" / "datasets"

    async def run(self, grader: Grader) -> list[PolicyRow]:
        """Return pass@1 by pool before and after each arm, with paired intervals; do what is missing for it.

        Raises RunFailed: the run or a trainer failed.
        """
        if not self.datasets.exists():
            command = [sys.executable, "-m", "stepforge", "run", str(self.run_file), "--quiet", "--out"]
            _do([*command, str(self.datasets.parent)], f"the run {self.run_file}")
        before = await self.rates("embedded", "before", grader)
        rows = self._figures(BASE, 0, [before], before)
        for arm in self.arms:
            models = [self.train(arm, seed) for seed in TRAINING_SEEDS]
            after = [await self.rates(str(model), model.name, grader) for model in models]
            size = sum(self._count(export, most) for export, most in arm.rows.items())
            rows += self._figures(arm.name, size, after, before)
        return rows

    def files(self, export: str) -> list[Path]:
        """Return the training shards of an export. Raises BadInput: the run has no such export."""
        found = sorted((self.datasets / export).glob("train-*.parquet"))
        if not found:
            raise BadInput(f"train: {self.run_file} has no export {export}")
        return found

    def train(self, arm: Arm, seed: int) -> Path:
        """Return the folder of the trained policy; trained only if it is not there."""
        settings = json.dumps(arm._asdict())
        data = [blake2b(path.read_bytes(), digest_size=16).hexdigest() for e in arm.rows for path in self.files(e)]
        name = blake2b("\0".join([settings, *data]).encode(), digest_size=6).hexdigest()
        out = self.folder / f"{name}-{seed}"
        if not (out / "config.json").exists():
            places = {"datasets": str(self.datasets), "weights": str(embedded_folder()), "out": str(out)}
            told = json.dumps({**arm._asdict(), **places, "seed": seed})
            _do([str(self.python), str(TRAINER_SCRIPT), told], f"training {arm.name}, seed {seed}")
        return out

    @cached_property
    def problems(self) -> dict[str, list[Problem]]:
        """The problems that pass@1 is measured on, by pool: none that the run asked."""
        shards = sorted((self.datasets.parent / "problems").glob("*.parquet"))
        asked = {question_key(problem.question) for path in shards for problem in read_shard(path, Problem)}
        return {name: pool.without(asked) for name, pool in self.pools.items()}

    async def rates(self, model: str, name: str, grader: Grader) -> Rates:
        """Return how a model does in the exam; what was drawn before is read from the folder."""
        paths = {way: self.folder / "solved" / way / f"{name}.parquet" for way in WAYS}
        missing = {way: path for way, path in paths.items() if not path.exists()}
        if missing:
            await self._draw(model, missing, grader)
        rates: Rates = {}
        for way, path in paths.items():
            rows = read_shard(path, SolvedProblem)
            shares = iter([sum(r.outcome == "correct" for r in row.rollouts) / len(row.rollouts) for row in rows])
            for pool, problems in self.problems.items():
                rates[pool, way] = np.array([next(shares) for _ in problems])
        return rates

    async def _draw(self, model: str, missing: dict[str, Path], grader: Grader) -> None:
        asked = [problem for problems in self.problems.values() for problem in problems]
        engine = await serving(self.engine, model).open()
        try:
            for way, path in missing.items():
                settings = POLICY.model_copy(update={"temperature": WAYS[way]})
                policy, n = PromptedPolicy(engine, settings), SAMPLES if WAYS[way] else 1
                solving = (solve(p, [], policy, grader, n=n, seed=SEED) for p in asked)
                write_shard(path, await asyncio.gather(*solving), SolvedProblem, {"digest": policy.identity.digest})
        finally:
            await engine.close()

    def _count(self, export: str, most: int) -> int:
        rows = sum(int(pq.read_metadata(path).num_rows) for path in self.files(export))
        return min(rows, most or rows)

    def _figures(self, name: str, size: int, after: Sequence[Rates], before: Rates) -> list[PolicyRow]:
        rows = []
        for (pool, way), base in before.items():
            drawn = resamples([True] * len(base), RESAMPLES, SEED) / len(base)
            sampled, own = (np.mean([drawn @ one[pool, way] for one in rates], axis=0) for rates in (after, [before]))
            rows.append(
                PolicyRow(
                    policy=name,
                    pool=pool,
                    decoding=way,
                    problems=len(base),
                    training_rows=size,
                    pass_at_1=_rounded(sampled),
                    gain=_rounded(sampled - own),
                    by_seed=tuple(round(float(np.mean(rates[pool, way])), 4) for rates in after),
                )
            )
        return rows


def serving(engine: AnyEngine, model: str) -> AnyEngine:
    """Return the engine's settings with another model in it; the scripted engine has none.

    Sampled in float32, base and trained alike: a small learning rate moves weights by less than bfloat16 can hold.
    """
    if isinstance(engine, ScriptedEngineSettings):
        return engine
    return engine.model_copy(update={"model": model, "dtype": "float32"})


def _rounded(samples: Array) -> Interval:
    value, low, high = interval(samples)
    return round(value, 4), round(low, 4), round(high, 4)


def _do(command: list[str], what: str) -> None:
    print(what, file=sys.stderr, flush=True)
    done = subprocess.run(command, capture_output=True, text=True, timeout=TRAINING_SECONDS)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RunFailed(f"{what} failed: {last}")
