"""What a rollout costs in CPU time of our own code, by part: everything but the engine's own writing.

    python -m benchmarks.rollout_cost

A scripted engine answers once and is recorded; the same problems are then solved, labeled and stored again on the
recorded answers, which cost a look-up in a dictionary. The total is the process's CPU time, best of some rounds with
nothing watching; the shares by folder come from looking at the stack every millisecond of CPU time in further rounds.
The grader is the real one; what it asks of other processes (none here: the answers are integers) would not be counted.

A rollout is about 90 characters in 5 steps, and the scripted engine has a token a character, so token ids weigh more
here than under a tokenizer of words.
"""

import asyncio
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import typer

from benchmarks.measured import keep, machine
from stepforge.generators.families.quantities import Quantities
from stepforge.generators.families.sequences import Sequence as Sequences
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.labelers import ChangePoint, Labeler, MathShepherd, OmegaPRM
from stepforge.pipelines.engines.gate import UNBOUNDED, EngineGate
from stepforge.pipelines.engines.scripted_engine import ScriptedEngine
from stepforge.pipelines.engines.settings import ScriptedEngineSettings
from stepforge.pipelines.engines.text_engine import WrappedEngine
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.run.garbage_collection import collect_seldom
from stepforge.pipelines.run.journaled_engine import JournaledEngine
from stepforge.pipelines.run.stages import attempt_all, label, solve
from stepforge.pipelines.storage.journal import Journal, forget_journal
from stepforge.pipelines.storage.shards import read_shard, write_shard
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Completion, Engine, Prompt, Sampling
from stepforge.schemas.rollout import SolvedProblem

SEED = 41


class Recording(WrappedEngine):
    """An engine that asks another one once, then repeats its answers at no cost."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.said: dict[tuple[str, int], Completion] = {}
        self.encoded: dict[str, tuple[int, ...]] = {}

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        key = (prompt.text, seed)
        if key not in self.said:
            self.said[key] = await self.engine.complete(prompt, seed=seed, sampling=sampling)
        return self.said[key]

    def encode(self, text: str) -> tuple[int, ...]:
        if text not in self.encoded:
            self.encoded[text] = self.engine.encode(text)
        return self.encoded[text]

    def encode_prompt(self, text: str, *, bos: bool) -> tuple[int, ...]:
        return self.encode(text)

    async def close(self) -> None:
        await self.engine.close()


class Done(NamedTuple):
    """One round's rows."""

    solved: list[SolvedProblem]
    labeled: list[LabeledProblem]

    @property
    def rollouts(self) -> int:
        return sum(len(r.rollouts) for r in self.solved) + sum(len(r.evidence) for r in self.labeled)


class Bench:
    """The problems, the recorded engine and the labeler of one line of the table."""

    def __init__(self, labeler: Labeler, problems: int, folder: Path) -> None:
        self.labeler = labeler
        parts = (Sequences(), Quantities())
        self.problems: list[Problem] = [parts[i % 2].item(SEED, i) for i in range(problems)]
        engine = ScriptedEngine(ScriptedEngineSettings(kind="scripted", error_rate=0.1, recovery_rate=0.1))
        self.engine = Recording(engine)
        self.folder = folder

    def round(self) -> Done:
        """Solve, store, read back, label, store: what the stages do, in one thread."""
        done: list[Done] = []
        asyncio.run(self._stages(done))
        return done[0]

    async def _stages(self, done: list[Done]) -> None:
        """Append what was done: ``asyncio.run`` writes the repr of what it returns into an error it then drops."""
        gate = EngineGate(self.engine, UNBOUNDED)
        journals = [Journal(self.folder / name) for name in ("solve", "label")]
        solver, labeler = (PromptedPolicy(JournaledEngine(gate, j), PolicySettings(answer="stated")) for j in journals)
        grader = PooledGrader()

        async def solving(problem: Problem) -> SolvedProblem:
            return await solve(problem, [], solver, grader, n=4, seed=SEED)

        async def labeling(row: SolvedProblem) -> LabeledProblem:
            return await label(row, [self.labeler], labeler, grader, seed=SEED)

        solved, _ = await attempt_all(self.problems, solving, "solve", lambda problem: problem.id)
        write_shard(self.folder / "solved.parquet", solved, SolvedProblem, {})
        rows = read_shard(self.folder / "solved.parquet", SolvedProblem)
        labeled, failures = await attempt_all(rows, labeling, "label", lambda row: row.problem.id)
        write_shard(self.folder / "labeled.parquet", labeled, LabeledProblem, {})
        for journal, name in zip(journals, ("solve", "label"), strict=True):
            await journal.close()
            forget_journal(self.folder / name)
        if failures:
            raise RuntimeError(failures[0].message)
        done.append(Done(solved, labeled))


class Sampler:
    """Counts, every millisecond of CPU time, the folder of the innermost frame in our code or in the event loop."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    def __enter__(self) -> "Sampler":
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
        return self

    def __exit__(self, *error: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, signal.SIG_IGN)

    def _look(self, number: int, frame: FrameType | None) -> None:
        while frame is not None and not {"stepforge", "asyncio"} & {*Path(frame.f_code.co_filename).parts}:
            frame = frame.f_back
        if frame is not None:
            self.seen[Path(frame.f_code.co_filename).parent.name] += 1


def measure(labeler: Labeler, problems: int, rounds: int) -> dict[str, Any]:
    """Return microseconds a rollout, in all and by part, and what the rollouts were like."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(labeler, problems, Path(folder))
        done = bench.round()
        times = []
        for _ in range(rounds):
            began = time.process_time()
            bench.round()
            times.append(time.process_time() - began)
        with Sampler() as sampler:
            for _ in range(rounds):
                bench.round()
    each = 1e6 / done.rollouts
    samples = sum(sampler.seen.values())
    return {
        "labeler": labeler.name,
        "rollouts": done.rollouts,
        "tokens_per_rollout": round(sum(r.tokens for row in done.labeled for r in row.evidence) / done.rollouts, 1),
        "microseconds_per_rollout": round(min(times) * each, 2),
        "worst_round": round(max(times) * each, 2),
        "by_folder": {name: round(min(times) * each * n / samples, 2) for name, n in sampler.seen.most_common()},
    }


def main(problems: int = 60, rounds: int = 20, label: str = "now") -> None:
    """``label``: under which name the figures are kept in the results file."""
    labelers: tuple[Labeler, ...] = (MathShepherd(), OmegaPRM(search_limit=8), ChangePoint())
    collect_seldom()  # as workers do
    rows = [measure(labeler, problems, rounds) for labeler in labelers]
    print(f"{'microseconds of CPU a rollout':34}" + "".join(f"{row['labeler']:>15}" for row in rows))
    for folder in dict.fromkeys(folder for row in rows for folder in row["by_folder"]):
        print(f"{folder:34}" + "".join(f"{row['by_folder'].get(folder, 0.0):15.2f}" for row in rows))
    print(f"{'in all (target: under 20)':34}" + "".join(f"{row['microseconds_per_rollout']:15.2f}" for row in rows))
    print(f"{'rollouts':34}" + "".join(f"{row['rollouts']:15}" for row in rows))
    keep("rollout_cost.json", label, {"machine": machine(), "labelers": rows})


if __name__ == "__main__":
    typer.run(main)
