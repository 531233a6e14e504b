"""Bytes depend on nothing but the run file: not on order, workers, hash seed, time zone or locale."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from chaos import Reference
from chaos_runs import write_run
from faulty_engine import Faults

from stepforge.generators.families.quantities import Quantities
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.labelers import AMCS, SCAN, ChangePoint, EpicPRM, MathShepherd, OmegaPRM, Sequential
from stepforge.labelers.contracts import Labeler
from stepforge.pipelines.engines import ScriptedEngineSettings
from stepforge.pipelines.engines.scripted_engine import ScriptedEngine
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.run.stages import label, solve
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.protocols import Completion, Prompt, Sampling

TESTS = Path(__file__).parent
SETTINGS = {"latency": 1, "problems": 10, "rows": 2}
ELSEWHERE = [
    {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "2", "TZ": "America/St_Johns", "LC_ALL": "tr_TR.UTF-8", "PYTHONUTF8": "0"},
    {"PYTHONHASHSEED": "0", "TZ": "Pacific/Chatham", "LANG": "ja_JP.eucJP", "LC_ALL": "POSIX"},
]
CODE = (
    "import chaos, faulty_engine, sys; from stepforge import cli; chaos.without_ray(); "
    "faulty_engine.Faults(slow_rate=0.2)(); sys.argv = ['stepforge', *sys.argv[1:]]; cli.main()"
)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """A fifth of the requests takes a hundred times as long: shards and rows come to their ends in any order."""
    return Reference(tmp_path_factory.mktemp("order"), prepare=Faults(slow_rate=0.2), **SETTINGS)


def run_elsewhere(run_file: Path, folder: Path, surroundings: dict[str, str]) -> None:
    path = os.pathsep.join([str(TESTS), str(TESTS.parent), str(TESTS.parents[1])])
    result = subprocess.run(
        [sys.executable, "-c", CODE, "run", str(run_file), "--out", str(folder), "--quiet"],
        capture_output=True,
        timeout=280,
        check=False,
        cwd="/",
        env=os.environ | surroundings | {"PYTHONPATH": path},
    )
    assert result.returncode == 0, result.stderr.decode(errors="replace")[-2000:]


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_workers_order_and_surroundings_change_no_byte(
    reference: Reference, tmp_path: Path, workers: int, tell: Callable[[str], None]
) -> None:
    surroundings = ELSEWHERE[(1, 2, 8).index(workers)]
    run_elsewhere(write_run(tmp_path, **SETTINGS, workers=workers), tmp_path / "out", surroundings)
    reference.check(tmp_path / "out")
    tell(f"{workers} workers (without Ray), shuffled completions, {surroundings}: identical bytes")


class Shuffled(ScriptedEngine):
    """Answers in an order of its own."""

    def __init__(self, settings: ScriptedEngineSettings, rng: Random | None) -> None:
        super().__init__(settings)
        self.rng = rng

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        if self.rng is not None:
            await asyncio.sleep(self.rng.random() * 0.002)
        return await super().complete(prompt, seed=seed, sampling=sampling)


async def labeled(part: Labeler, rng: Random | None) -> list[LabeledProblem]:
    engine = Shuffled(ScriptedEngineSettings(error_rate=0.25, recovery_rate=0.05, failure_rate=0.02), rng)
    policy = PromptedPolicy(engine, PolicySettings(answer="stated"))
    async with PooledGrader() as grader:
        problems = [Quantities(levels=(2, 3, 4)).item(1, i) for i in range(4)]
        solved = [await solve(problem, [], policy, grader, n=5, seed=1) for problem in problems]
        return await asyncio.gather(*(label(row, [part], policy, grader, seed=3) for row in solved))


LABELERS: list[Labeler] = [
    ChangePoint(),
    OmegaPRM(k=3, search_limit=12),
    OmegaPRM(k=3, search_limit=12, curtailed=True),
    MathShepherd(k=3),
    MathShepherd(k=3, curtailed=True, root=8),
    MathShepherd(k=2, shared=False),
    Sequential(k=3),
    Sequential(k=3, curtailed=False),
    AMCS(first=3, most=8),
    EpicPRM(probe=10, least_right=1, fewest=3, most=6),
    SCAN(k=3, confidence=0.1, confidence_samples=8),
]


@pytest.mark.parametrize("part", LABELERS, ids=lambda part: f"{part.name}-{LABELERS.index(part)}")
def test_no_labeler_depends_on_the_order_of_the_answers(part: Labeler) -> None:
    in_order = asyncio.run(labeled(part, None))
    assert any(row.evidence for row in in_order)
    for seed in (1, 2):
        assert asyncio.run(labeled(part, Random(seed))) == in_order
