"""The policies: TRL's trainers on our rows, in TRL's own environment, and pass@1 before and after."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.engines.model_files import embedded_folder
from pipelines.store import write_text
from pipelines.usefulness.kept import digest_of
from pipelines.usefulness.pass_rate import solve_rates, solved_by
from pipelines.usefulness.policy_rows import CompletionRow, Pair, policy_rows
from pipelines.usefulness.pools import problems_of
from pipelines.usefulness.resampling import Array, Estimate, estimate, mean_samples, weights
from pipelines.usefulness.settings import PolicyArm, RowsFrom, UsefulnessFile
from schemas.errors import BadInput, RunFailed
from schemas.labeled import LabeledProblem
from schemas.problem import Problem
from schemas.protocols import Grader

BASE = "before training"
TRAINER_SCRIPT = Path("benchmarks/usefulness_trl.py")
TRAINING_SECONDS = 3600


def check_trainer(python: Path, script: Path = TRAINER_SCRIPT) -> None:
    """See whether TRL is there.

    Raises:
        BadInput: the interpreter, the script or TRL is missing.
    """
    if not script.is_file():
        raise BadInput(f"{script}: no such file; run this from the repository's root")
    try:
        found = subprocess.run([python, "-c", "import trl"], capture_output=True, timeout=300)  # noqa: S603
    except OSError:
        raise BadInput(_how_to_get(python)) from None
    if found.returncode:
        raise BadInput(_how_to_get(python))


def _how_to_get(python: Path) -> str:
    return (
        f"--trl-python {python}: TRL is not there; make an environment of its own "
        "(uv venv ENV; uv pip install --python ENV/bin/python torch trl) and name ENV/bin/python, or --skip-policy"
    )


class PolicyBench:
    """Trains each arm under each seed and samples it on the problems that nothing was trained on."""

    def __init__(
        self,
        settings: UsefulnessFile,
        labels: Mapping[str, Sequence[LabeledProblem]],
        folder: Path,
        python: Path,
        say: Callable[[str], None],
    ) -> None:
        self.settings = settings
        self.labels = labels
        self.folder = folder
        self.python = python
        self.say = say
        self.sizes: dict[str, int] = {}

    def train(self, arm: PolicyArm, seed: int) -> Path:
        """Return the folder of the trained policy; trained only if it is not there.

        Raises:
            RunFailed: the trainer failed.
        """
        rows = [row for part in arm.rows for row in self._rows(part)]
        self.sizes[arm.name] = len(rows)
        lines = "".join(row.model_dump_json() + "\n" for row in rows)
        out = self.folder / f"{digest_of(arm.model_dump_json(), lines)}-{seed}"
        if not (out / "config.json").exists():
            self.say(f"training: {arm.name}, seed {seed}, {len(rows)} rows")
            path = self.folder / f"{out.name}.jsonl"
            write_text(path, lines)
            self._call(arm, seed, path, out)
        return out

    def _rows(self, part: RowsFrom) -> list[Pair] | list[CompletionRow]:
        rows = policy_rows(self.labels[part.labels], part.kind)
        return rows if part.most is None else rows[:: -(-len(rows) // part.most)]

    def _call(self, arm: PolicyArm, seed: int, rows: Path, out: Path) -> None:
        command = [str(self.python), str(TRAINER_SCRIPT), "--method", arm.method, "--rows", str(rows)]
        command += ["--weights", str(embedded_folder()), "--out", str(out), "--seed", str(seed)]
        command += ["--rate", str(arm.rate), "--steps", str(arm.steps), *(["--next-step"] if arm.next_step else [])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TRAINING_SECONDS)  # noqa: S603
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise RunFailed(f"{TRAINER_SCRIPT} failed on {arm.name}: {last}")

    def problems(self) -> dict[str, list[Problem]]:
        """Return the problems that pass@1 is measured on, by pool."""
        s = self.settings
        return {name: problems_of(s.pools[name])[: s.pass_problems] for name in s.exam}

    async def solve_rates(self, model: str, name: str, grader: Grader) -> dict[str, Array]:
        """Return the share of right solutions of each problem, by pool."""
        s, pools = self.settings, self.problems()
        asked = [problem for problems in pools.values() for problem in problems]
        path = self.folder / "solved" / f"{name}.parquet"
        if not path.exists():
            self.say(f"pass@1: {name}")
        rows = await solved_by(model, asked, s.engine, s.policy, grader, path, samples=s.pass_samples, seed=s.seed)
        rates, found = iter(solve_rates(rows)), {}
        for pool, problems in pools.items():
            found[pool] = np.array([next(rates) for _ in problems])
        return found

    async def run(self, grader: Grader) -> list[dict[str, Any]]:
        """Return pass@1 by pool before and after each arm, with paired intervals."""
        before = await self.solve_rates("embedded", "before", grader)
        rows = self._figures(BASE, [before], before)
        for arm in self.settings.train_policy:
            after = []
            for seed in self.settings.seeds:
                model = self.train(arm, seed)
                after.append(await self.solve_rates(str(model), model.name, grader))
            rows += self._figures(arm.name, after, before)
        return rows

    def _figures(self, name: str, after: list[dict[str, Array]], before: dict[str, Array]) -> list[dict[str, Any]]:
        rows = []
        for pool, base in before.items():
            drawn = weights(len(base), self.settings.bootstrap, self.settings.seed)
            sampled = mean_samples([rates[pool] for rates in after], drawn)
            gain: Estimate = estimate(sampled - mean_samples([base], drawn))
            rows.append(
                {
                    "policy": name,
                    "pool": pool,
                    "problems": len(base),
                    "training_rows": self.sizes.get(name, 0),
                    "pass_at_1": estimate(sampled).rounded(),
                    "gain": gain.rounded(),
                    "by_seed": [round(float(np.mean(rates[pool])), 4) for rates in after],
                }
            )
        return rows
