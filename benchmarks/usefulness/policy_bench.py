"""The policies: a real run's data sets, TRL's trainers on them in TRL's own environment, pass@1 before and after.

Sampled at temperature 1, as in every run, and greedily. All that is drawn and trained is kept in the folder.
"""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.usefulness.resampling import averaged, estimate, weights
from benchmarks.usefulness.settings import PolicyArm, RowsFrom, UsefulnessFile
from stepforge.filters.duplicates import question_key
from stepforge.generators.policy import PromptedPolicy
from stepforge.pipelines.bench.measure import Array
from stepforge.pipelines.engines import AnyEngine, ScriptedEngineSettings, open_engine
from stepforge.pipelines.engines.model_files import embedded_folder
from stepforge.pipelines.run.stages import solve
from stepforge.pipelines.storage.shards import read_shard, write_shard
from stepforge.schemas.errors import BadInput, RunFailed
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Grader
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem

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


class PolicyBench:
    """Trains each arm under each seed and samples it on problems that nothing was trained on."""

    def __init__(self, settings: UsefulnessFile, folder: Path, python: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.python = python
        self.datasets = folder / "run" / "datasets"

    async def run(self, grader: Grader) -> list[PolicyRow]:
        """Return pass@1 by pool before and after each arm, with paired intervals; do what is missing for it.

        Raises RunFailed: the run or a trainer failed.
        """
        if not self.datasets.exists():
            command = [sys.executable, "-m", "stepforge", "run", str(self.settings.run), "--quiet", "--out"]
            _do([*command, str(self.datasets.parent)], f"the run {self.settings.run}")
        before = await self.rates("embedded", "before", grader)
        rows = self._figures(BASE, 0, [before], before)
        for arm in self.settings.train:
            models = [self.train(arm, seed) for seed in self.settings.seeds]
            after = [await self.rates(str(model), model.name, grader) for model in models]
            rows += self._figures(arm.name, sum(map(self._count, arm.rows)), after, before)
        return rows

    def files(self, rows: RowsFrom) -> list[Path]:
        """Return the training shards of an export. Raises BadInput: the run has no such export."""
        found = sorted((self.datasets / rows.export).glob("train-*.parquet"))
        if not found:
            raise BadInput(f"train: {self.settings.run} has no export {rows.export}")
        return found

    def train(self, arm: PolicyArm, seed: int) -> Path:
        """Return the folder of the trained policy; trained only if it is not there."""
        shards = [path for part in arm.rows for path in self.files(part)]
        data = [blake2b(path.read_bytes(), digest_size=16).hexdigest() for path in shards]
        name = blake2b("\0".join([arm.model_dump_json(), *data]).encode(), digest_size=6).hexdigest()
        out = self.folder / f"{name}-{seed}"
        if not (out / "config.json").exists():
            command = [str(self.python), str(TRAINER_SCRIPT), "--method", arm.method, "--seed", str(seed)]
            for part in arm.rows:
                command += ["--data", str(self.datasets / part.export), str(part.most or 0)]
            command += ["--weights", str(embedded_folder()), "--out", str(out), *arm.options()]
            _do(command, f"training {arm.name}, seed {seed}")
        return out

    @cached_property
    def problems(self) -> dict[str, list[Problem]]:
        """The problems that pass@1 is measured on, by pool: none that the run asked."""
        shards = sorted((self.datasets.parent / "problems").glob("*.parquet"))
        asked = {question_key(problem.question) for path in shards for problem in read_shard(path, Problem)}
        return {name: pool.without(asked) for name, pool in self.settings.exam.items()}

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
        engine = await open_engine(serving(self.settings.engine, model))
        try:
            for way, path in missing.items():
                settings = self.settings.policy.model_copy(update={"temperature": WAYS[way]})
                policy, n = PromptedPolicy(engine, settings), self.settings.samples if WAYS[way] else 1
                solving = (solve(p, [], policy, grader, n=n, seed=self.settings.seed) for p in asked)
                write_shard(path, await asyncio.gather(*solving), SolvedProblem, {"digest": policy.identity.digest})
        finally:
            await engine.close()

    def _count(self, part: RowsFrom) -> int:
        count = sum(int(pq.read_metadata(path).num_rows) for path in self.files(part))
        return min(count, part.most or count)

    def _figures(self, name: str, size: int, after: Sequence[Rates], before: Rates) -> list[PolicyRow]:
        rows = []
        for (pool, way), base in before.items():
            drawn = weights(len(base), self.settings.bootstrap, self.settings.seed)
            sampled, own = (
                averaged([one[pool, way] @ drawn / drawn.sum(0) for one in rates]) for rates in (after, [before])
            )
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
    found = estimate(samples)
    return round(found.value, 4), round(found.low, 4), round(found.high, 4)


def _do(command: list[str], what: str) -> None:
    print(what, file=sys.stderr, flush=True)
    done = subprocess.run(command, capture_output=True, text=True, timeout=TRAINING_SECONDS)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RunFailed(f"{what} failed: {last}")
