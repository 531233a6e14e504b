"""The policies: a real run's data sets, TRL's trainers on them in TRL's own environment, pass@1 before and after.

Sampled at temperature 1, as in every run, and greedily.
"""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np

from benchmarks.usefulness.kept import digest_of
from benchmarks.usefulness.pools import Pool, problems_of
from benchmarks.usefulness.resampling import Array, Estimate, estimate, mean_samples, weights
from benchmarks.usefulness.result import PolicyRow
from benchmarks.usefulness.settings import PolicyArm, RowsFrom, UsefulnessFile
from stepforge.filters.duplicates import question_key
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.pipelines.engines import AnyEngine, ScriptedEngineSettings, open_engine
from stepforge.pipelines.engines.model_files import embedded_folder
from stepforge.pipelines.run.stages import solve
from stepforge.pipelines.storage.shards import read_shard, write_shard
from stepforge.schemas.errors import BadInput, RunFailed
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Engine, Grader
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem


class Decoding(Record):
    """One way to draw solutions."""

    name: str
    temperature: float
    samples: int


BASE = "before training"
TRAINER_SCRIPT = Path("benchmarks/usefulness/trl_policies.py")
TRAINING_SECONDS = 3600
GREEDY = Decoding(name="greedy", temperature=0, samples=1)
Rates = dict[tuple[str, str], Array]
"""Share of right solutions of each problem, by (pool, way of decoding)."""


class Sampler:
    """Lets models solve the same problems; what was drawn before is read from the folder."""

    def __init__(
        self, engine: AnyEngine, policy: PolicySettings, ways: Sequence[Decoding], folder: Path, seed: int
    ) -> None:
        self.engine = engine
        self.policy = policy
        self.ways = ways
        self.folder = folder
        self.seed = seed

    async def solved_by(
        self, model: str, name: str, problems: Sequence[Problem], grader: Grader
    ) -> dict[str, list[SolvedProblem]]:
        """Return the problems as a model solves them, by the way it is decoded.

        Sampled in float32, base and trained alike: a small learning rate moves weights by less than bfloat16 can hold.
        """
        paths = {way.name: self.folder / way.name / f"{name}.parquet" for way in self.ways}
        missing = [way for way in self.ways if not paths[way.name].exists()]
        if missing:
            engine = await open_engine(serving(self.engine, model))
            try:
                for way in missing:
                    rows, digest = await self._drawn(engine, way, problems, grader)
                    write_shard(paths[way.name], rows, SolvedProblem, {"digest": digest})
            finally:
                await engine.close()
        return {way: read_shard(path, SolvedProblem) for way, path in paths.items()}

    async def _drawn(
        self, engine: Engine, way: Decoding, problems: Sequence[Problem], grader: Grader
    ) -> tuple[list[SolvedProblem], str]:
        policy = PromptedPolicy(engine, self.policy.model_copy(update={"temperature": way.temperature}))
        solving = (solve(p, [], policy, grader, n=way.samples, seed=self.seed) for p in problems)
        return await asyncio.gather(*solving), policy.identity.digest


def serving(engine: AnyEngine, model: str) -> AnyEngine:
    """Return the engine's settings with another model in it; the scripted engine has none."""
    if isinstance(engine, ScriptedEngineSettings):
        return engine
    return engine.model_copy(update={"model": model, "dtype": "float32"})


def solve_rates(rows: Sequence[SolvedProblem]) -> list[float]:
    """Return each problem's share of right solutions; one that breaks off is no right one."""
    return [sum(r.outcome == "correct" for r in row.rollouts) / len(row.rollouts) for row in rows]


def check_trainer(python: Path, script: Path = TRAINER_SCRIPT) -> None:
    """See whether TRL is there.

    Raises:
        BadInput: the interpreter, the script or TRL is missing.
    """
    if not script.is_file():
        raise BadInput(f"{script}: no such file; run this from the repository's root")
    try:
        found = subprocess.run([python, "-c", "import trl"], capture_output=True, timeout=300)
    except OSError:
        raise BadInput(_how_to_get(python)) from None
    if found.returncode:
        raise BadInput(_how_to_get(python))


def _how_to_get(python: Path) -> str:
    return (
        f"--trl-python {python}: TRL is not there; make an environment of its own "
        "(make consumers) and name .consumers/trl/bin/python, or --skip-policy"
    )


class PolicyBench:
    """Trains each arm under each seed and samples it on problems that nothing was trained on."""

    def __init__(self, settings: UsefulnessFile, folder: Path, python: Path, say: Callable[[str], None]) -> None:
        self.settings = settings
        self.folder = folder
        self.python = python
        self.say = say
        self.run_folder = folder / "run"
        ways = (Decoding(name="temperature 1", temperature=1, samples=settings.pass_samples), GREEDY)
        self.sampler = Sampler(settings.engine, settings.policy, ways, folder / "solved", settings.seed)

    def make_data(self) -> None:
        """Do the run whose data sets are trained on, or what is missing of it.

        Raises:
            RunFailed: the run failed.
        """
        if not (self.run_folder / "datasets").exists():
            self.say(f"running {self.settings.policy_run}")
            command = [sys.executable, "-m", "stepforge", "run", str(self.settings.policy_run), "--quiet"]
            _do([*command, "--out", str(self.run_folder)], f"the run {self.settings.policy_run}")

    def files(self, rows: RowsFrom) -> list[Path]:
        """Return the training shards of an export.

        Raises:
            BadInput: the run has no such export.
        """
        found = sorted((self.run_folder / "datasets" / rows.export).glob("train-*.parquet"))
        if not found:
            raise BadInput(f"train_policy: {self.settings.policy_run} has no export {rows.export}")
        return found

    def train(self, arm: PolicyArm, seed: int) -> Path:
        """Return the folder of the trained policy; trained only if it is not there.

        Raises:
            RunFailed: the trainer failed.
        """
        shards = [path for part in arm.rows for path in self.files(part)]
        data = [blake2b(path.read_bytes(), digest_size=16).hexdigest() for path in shards]
        out = self.folder / f"{digest_of(arm.model_dump_json(), *data)}-{seed}"
        if not (out / "config.json").exists():
            self.say(f"training: {arm.name}, seed {seed}")
            command = [str(self.python), str(TRAINER_SCRIPT), "--method", arm.method, "--seed", str(seed)]
            for part in arm.rows:
                command += ["--data", str(self.run_folder / "datasets" / part.export), str(part.most or 0)]
            command += ["--weights", str(embedded_folder()), "--out", str(out), *arm.options()]
            _do(command, f"{TRAINER_SCRIPT} on {arm.name}")
        return out

    def problems(self) -> dict[str, list[Problem]]:
        """Return the problems that pass@1 is measured on, by pool: none that the run asked."""
        shards = sorted((self.run_folder / "problems").glob("*.parquet"))
        asked = {question_key(problem.question) for path in shards for problem in read_shard(path, Problem)}
        return {name: _new(pool, asked) for name, pool in self.settings.policy_exam.items()}

    async def rates(self, model: str, name: str, grader: Grader) -> Rates:
        pools = self.problems()
        self.say(f"pass@1: {name}")
        solved = await self.sampler.solved_by(model, name, [p for found in pools.values() for p in found], grader)
        rates: Rates = {}
        for way, rows in solved.items():
            left = iter(solve_rates(rows))
            for pool, problems in pools.items():
                rates[pool, way] = np.array([next(left) for _ in problems])
        return rates

    async def run(self, grader: Grader) -> list[PolicyRow]:
        """Return pass@1 by pool before and after each arm, with paired intervals."""
        self.make_data()
        before = await self.rates("embedded", "before", grader)
        rows = self._figures(BASE, 0, [before], before)
        for arm in self.settings.train_policy:
            after = []
            for seed in self.settings.seeds:
                model = self.train(arm, seed)
                after.append(await self.rates(str(model), model.name, grader))
            rows += self._figures(arm.name, sum(self._count(part) for part in arm.rows), after, before)
        return rows

    def _count(self, part: RowsFrom) -> int:
        import pyarrow.parquet as pq

        count = sum(int(pq.read_metadata(path).num_rows) for path in self.files(part))
        return min(count, part.most or count)

    def _figures(self, name: str, size: int, after: list[Rates], before: Rates) -> list[PolicyRow]:
        rows = []
        for (pool, way), base in before.items():
            drawn = weights(len(base), self.settings.bootstrap, self.settings.seed)
            sampled = mean_samples([rates[pool, way] for rates in after], drawn)
            gain: Estimate = estimate(sampled - mean_samples([base], drawn))
            rows.append(
                PolicyRow(
                    policy=name,
                    pool=pool,
                    decoding=way,
                    problems=len(base),
                    training_rows=size,
                    pass_at_1=estimate(sampled).rounded(),
                    gain=gain.rounded(),
                    by_seed=tuple(round(float(np.mean(rates[pool, way])), 4) for rates in after),
                )
            )
        return rows


def _new(pool: Pool, asked: set[str]) -> list[Problem]:
    return [problem for problem in problems_of(pool) if question_key(problem.question) not in asked]


def _do(command: list[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=TRAINING_SECONDS)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RunFailed(f"{what} failed: {last}")
