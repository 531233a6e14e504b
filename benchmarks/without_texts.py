"""A recording for the repository: `python -m benchmarks.without_texts RUN FILE.parquet`.

Writes all labeled rows of a recording to one shard, with names in place of every question and step, so that test
problems stay out of the repository. What completions of a prefix came to stays, whom people blame, and the numbers that
are stated: every labeler that reads no more is replayed from it as from the recording, by `stepforge bench labelers
--recording FILE.parquet`.
"""

import re
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path

import typer

from stepforge.grading.stated import states_false
from stepforge.labelers.change_point.statements import said
from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.storage.shards import read_shard, write_shard
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.rollout import Repair, Rollout, Step

LETTERS = str.maketrans("0123456789", "ghijklmnop")
NOBODY: frozenset[str] = frozenset()
_NUMBER = re.compile(r"-?\d+(?:/\d+)?")


def main(run: Path, out: Path) -> None:
    shards = open_run(run)[1].shards("label")
    rows = [without_texts(row) for path in shards for row in read_shard(path, LabeledProblem)]
    write_shard(out, rows, LabeledProblem, {"stage": "label"})
    print(f"{len(rows)} problems, {out.stat().st_size:,} bytes: {out}")


def without_texts(row: LabeledProblem) -> LabeledProblem:
    solutions = tuple(
        s.model_copy(
            update={
                "rollout": _named(s.rollout),
                "verdict": s.verdict.model_copy(update={"critique": None}),
                "others": (),
            }
        )
        for s in row.solutions
    )
    policy = row.policy.model_copy(update={"model": Path(row.policy.model).name})
    completer = row.completer and row.completer.model_copy(update={"model": Path(row.completer.model).name})
    update = {
        "problem": row.problem.model_copy(
            update={"question": numbers_in(row.problem.question), "known_solution": None, "kept": ()}
        ),
        "solutions": solutions,
        "evidence": tuple(map(_ended, row.evidence)),
        "own": tuple(map(_ended, row.own)),
        "further": (),
        "searched": (),
        "policy": policy,
        "completer": completer,
    }
    return row.model_copy(update=update)


def numbers_in(text: str) -> str:
    """Return a text that states the numbers of a step, its results and whether an equation of it is false; polynomials
    and the like, which are not read again as they were, are left out."""
    one, false = said(text, NOBODY), states_false(text)
    beside, results = (
        [n for n in sorted(found) if _NUMBER.fullmatch(n)] for found in (one.numbers - one.concluded, one.concluded)
    )
    if false:
        results = [f"{r} + 1 = {r}" if r == "0" else f"{r} + {r} = {r}" for r in results]
    elif one.equations:
        results = [f"{r} = {r}" for r in results]
    return ". ".join([*beside, *results])


def _named(rollout: Rollout) -> Rollout:
    """A prefix is recognized by its text: a digest of it takes its place, so solutions that share one still do."""
    texts = accumulate(step.text for step in rollout.steps)
    steps = [
        step.model_copy(
            update={"text": f"{_name(text)}. {numbers_in(step.text)}\n", "token_ids": (), "token_logprobs": ()}
        )
        for text, step in zip(texts, rollout.steps, strict=True)
    ]
    return rollout.model_copy(update={"steps": tuple(steps), "repair": _silent(rollout.repair)})


def _name(text: str) -> str:
    """In letters, because labelers read numbers."""
    return blake2b(text.encode(), digest_size=8).hexdigest().translate(LETTERS)


def _ended(rollout: Rollout) -> Rollout:
    numbers = sorted(frozenset[str]().union(*(said(step.text, NOBODY).numbers for step in rollout.steps)))
    return rollout.model_copy(
        update={"steps": (Step(text=". ".join(["ended", *numbers])),), "repair": _silent(rollout.repair)}
    )


def _silent(repair: Repair | None) -> Repair | None:
    """A repair stays for its cost alone."""
    return repair and repair.model_copy(update={"message": "", "prompt": "", "text": ""})


if __name__ == "__main__":
    typer.run(main)
