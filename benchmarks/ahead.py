"""What asking ahead buys and costs: seconds of labeling, and requests begun for each that is kept.

    python benchmarks/ahead.py

A scripted engine takes 50 ms for every request. Sixty problems are labeled by ``sequential``, curtailed, with room in
the engine for every request, and with room for 16: more than asking one by one fills, and less than asking far ahead
would like. That labels and evidence are the same for every ``ahead`` is checked.
"""

import asyncio
import os
import platform
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from stepforge.generators.families.quantities import Quantities
from stepforge.generators.families.sequences import Sequence as Sequences
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.labelers import Sequential
from stepforge.pipelines.engines.gate import UNBOUNDED, EngineGate
from stepforge.pipelines.engines.scripted_engine import ScriptedEngine
from stepforge.pipelines.engines.settings import ScriptedEngineSettings
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.run.journaled_engine import JournaledEngine
from stepforge.pipelines.run.stages import attempt_all, label, solve
from stepforge.pipelines.storage.journal import Journal
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import SolvedProblem

SEED = 23
PROBLEMS = 60
LATENCY_MS = 50
AHEAD = (1, 2, 4, 8)


async def measure(problems: list[Problem], ahead: int, room: int) -> tuple[float, int, int, list[LabeledProblem]]:
    settings = ScriptedEngineSettings(kind="scripted", error_rate=0.08, recovery_rate=0.1, latency_ms=LATENCY_MS)
    with TemporaryDirectory() as folder:
        gate = EngineGate(ScriptedEngine(settings), room)
        journal = Journal(Path(folder) / "journal")
        policy = PromptedPolicy(JournaledEngine(gate, journal), PolicySettings(answer="stated"))

        async def solving(problem: Problem) -> SolvedProblem:
            return await solve(problem, [], policy, grader, n=4, seed=SEED)

        async def labeling(row: SolvedProblem) -> LabeledProblem:
            return await label(row, [Sequential(ahead=ahead)], policy, grader, seed=SEED)

        async with PooledGrader() as grader:
            solved, _ = await attempt_all(problems, solving, "solve", lambda problem: problem.id)
            before, began = gate.counters(), time.perf_counter()
            labeled, failures = await attempt_all(solved, labeling, "label", lambda row: row.problem.id)
            seconds, after = time.perf_counter() - began, gate.counters()
        await journal.close()
    if failures:
        raise RuntimeError(failures[0].message)
    begun = sum(after[name] - before[name] for name in ("rollouts", "cancelled"))
    return seconds, begun, sum(len(row.evidence) for row in labeled), labeled


def main() -> None:
    parts = (Sequences(), Quantities())
    problems = [parts[i % 2].item(SEED, i) for i in range(PROBLEMS)]
    print(f"{os.cpu_count()} CPUs ({platform.machine()}), Python {platform.python_version()}, {LATENCY_MS} ms each")
    print(f"{'room':>10} {'ahead':>6} {'seconds':>8} {'of one by one':>14} {'begun':>6} {'kept':>6}")
    first: list[LabeledProblem] | None = None
    for room in (UNBOUNDED, 16):
        alone = 0.0
        for ahead in AHEAD:
            seconds, begun, kept, labeled = asyncio.run(measure(problems, ahead, room))
            alone, first = alone or seconds, first or labeled
            if labeled != first:
                raise SystemExit(f"labels or evidence differ with ahead = {ahead}")
            name = "all" if room == UNBOUNDED else str(room)
            print(f"{name:>10} {ahead:>6} {seconds:>8.2f} {seconds / alone:>14.2f} {begun:>6} {kept:>6}", flush=True)


if __name__ == "__main__":
    main()
