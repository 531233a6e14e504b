"""Every filter on the same rows: rows per second of one CPU, and the most memory that each adds.

    python -m benchmarks.filters --rows 20000

Each runs in a process of its own, which makes its rows first; seconds and memory count from there. The questions are
the families' in both wordings. For near-duplicates one in twenty is followed by a copy with its first word changed,
and the table says how many of those are found and how many others are called copies.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.measured import machine
from stepforge.filters import (
    Consistent,
    Corpus,
    CurateFilter,
    Decided,
    Difficulty,
    DistinctSolutions,
    Dropped,
    Language,
    NearDuplicates,
    SelfConsistency,
    Shape,
    VetFilter,
    WrongReference,
)
from stepforge.filters.held_out import HeldOutIndex
from stepforge.generators.families import ALL_FAMILIES
from stepforge.pipelines.run.duplicates import duplicate_questions, near_duplicates
from stepforge.pipelines.storage.shards import write_shard
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, Verdict
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import PolicyIdentity, Rollout, SolvedProblem, Step

ROWS = 10_000
"""Most rows for filters that look at one at a time."""
SOLUTIONS = 8
IDENTITY = PolicyIdentity(
    model="none", digest="", engine="none", engine_version="", temperature=1, top_p=1, max_tokens=1, prompt="{question}"
)
VET: dict[str, VetFilter] = {
    "self_consistency": SelfConsistency(sharpness=8.0),
    "wrong_reference": WrongReference(min_solutions=8),
    "difficulty": Difficulty(min_pass_rate=0.3),
    "shape": Shape(max_repetition=0.5, max_characters=4000),
    "language": Language(),
}
CURATE: dict[str, CurateFilter] = {
    "decided": Decided(),
    "consistent": Consistent(),
    "distinct_solutions": DistinctSolutions(),
}
CORPUS = ("duplicates", "near_duplicates")


def problems(rows: int) -> Iterator[Problem]:
    """Yield questions of the families; of the second half every twentieth copies an earlier one but for a word."""
    made: list[Problem] = []
    for row in range(rows):
        if _planted(row, rows):
            source = next(made[i % len(made)] for i in range(row, row + len(made)) if _long(made[i % len(made)]))
            question = " ".join(["Certainly", *source.question.split(" ")[1:]])
            yield source.model_copy(update={"id": f"copy-{row}", "question": question})
            continue
        family = ALL_FAMILIES[row % len(ALL_FAMILIES)]
        wording = "free" if row // len(ALL_FAMILIES) % 2 else "plain"
        made.append(family(kind=family.model_fields["kind"].default, wording=wording).item(7, row))
        yield made[-1]


def _planted(row: int, rows: int) -> bool:
    return row >= rows // 2 and row % 20 == 0


def _long(problem: Problem) -> bool:
    """A word more or less is a small part of a long question: at 25 words nine tenths of the runs of three stay."""
    return problem.question.count(" ") >= 24


def solved(problem: Problem) -> SolvedProblem:
    """Return a problem with solutions, most of them right."""
    text = problem.reference_solution or "Answer: 1"
    rollouts = tuple(
        Rollout(
            id=f"{problem.id}-{i}",
            start=None,
            steps=tuple(Step(text=f"{line} {'' if i < 5 else i}\n") for line in text.splitlines()),
            answer=problem.answer if i < 5 else str(i),
            outcome="correct" if i < 5 else "wrong",
            finish="stop",
            tokens=len(text) // 4,
            mean_logprob=-0.1 - i / 100,
        )
        for i in range(SOLUTIONS)
    )
    return SolvedProblem(problem=problem, rollouts=rollouts, policy=IDENTITY)


def labeled(problem: Problem) -> LabeledProblem:
    row = solved(problem)
    solutions = tuple(
        LabeledSolution(
            rollout=rollout,
            labels=(None,) * len(rollout.steps),
            verdict=Verdict(labeler="a", first_error=None if i < 5 else 0),
            others=(Verdict(labeler="b", first_error=None if i < 6 else 0),),
        )
        for i, rollout in enumerate(row.rollouts)
    )
    return LabeledProblem(problem=problem, solutions=solutions, evidence=(), policy=IDENTITY, costs=())


def _rate(work: Callable[[], int], rows: int) -> dict[str, float]:
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    dropped = work()
    seconds = time.process_time() - began
    added = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"rows": rows, "seconds": seconds, "rate": rows / seconds, "MiB": added / 1024, "dropped": dropped}


def by_row(name: str, rows: int) -> dict[str, float]:
    """Measure a filter that looks at one row at a time, on the first ``ROWS``."""
    some = [problem for _, problem in zip(range(min(rows, ROWS)), problems(rows), strict=False)]
    if name in CURATE:
        labels = [labeled(problem) for problem in some]
        return _rate(lambda: sum(isinstance(CURATE[name](row), Dropped) for row in labels), len(labels))
    found = [solved(problem) for problem in some]
    if name == "contamination":
        index = HeldOutIndex([("test", [problem.question for problem in some[::8]])])
        return _rate(lambda: sum(index.find(row.problem.question) is not None for row in found), len(found))
    part = VET[name]
    if name == "self_consistency":
        found = [row.model_copy(update={"problem": row.problem.model_copy(update={"answer": None})}) for row in found]
    part(found[0], Corpus())  # loads what it needs
    return _rate(lambda: sum(isinstance(part(row, Corpus()), Dropped) for row in found), len(found))


def over_run(name: str, rows: int, folder: Path) -> Mapping[str, float | str]:
    """Measure a filter that compares all rows, on shards as a run has them."""
    shards = [folder / "part-00000.parquet"]
    write_shard(shards[0], list(problems(rows)), Problem, {})
    found: dict[str, str] = {}
    part = NearDuplicates()

    def work() -> int:
        found.update(near_duplicates(shards, part) if name == "near_duplicates" else duplicate_questions(shards))
        return len(found)

    figures = _rate(work, rows)
    return {**figures, **_told(set(found), rows)} if name == "near_duplicates" else figures


def _told(dropped: set[str], rows: int) -> dict[str, str]:
    planted = sum(_planted(row, rows) for row in range(rows))
    hits = sum(name.startswith("copy-") for name in dropped)
    return {"planted found": f"{hits / planted:.4f}", "others": f"{(len(dropped) - hits) / (rows - planted):.4f}"}


def main(rows: int = 20_000, inside: Annotated[str, typer.Option(hidden=True)] = "") -> None:
    if inside:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(over_run(inside, rows, Path(folder)) if inside in CORPUS else by_row(inside, rows)))
        return
    print(machine())
    print(f"{'filter':20} {'rows':>9} {'CPU s':>8} {'rows/s':>9} {'MiB':>7} {'dropped':>8}")
    for name in [*CORPUS, "contamination", *VET, *CURATE]:
        command = [sys.executable, "-m", "benchmarks.filters", "--rows", str(rows), "--inside", name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        f = json.loads(done.stdout.splitlines()[-1])
        rest = "  ".join(f"{key} {f[key]}" for key in ("planted found", "others") if key in f)
        cells = f"{f['rows']:9,} {f['seconds']:8.2f} {f['rate']:9,.0f} {f['MiB']:7.0f} {f['dropped']:8,}"
        print(f"{name:20} {cells}  {rest}")


if __name__ == "__main__":
    typer.run(main)
