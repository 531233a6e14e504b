"""A recording for the repository: `python -m benchmarks.without_texts RUN FILE.parquet`.

Writes all labeled rows of a recording to one shard, with names in place of every question and step, so that test
problems stay out of the repository. What completions of a prefix came to stays, and whom people blame: every labeler
that reads no texts is replayed from it as from the recording, by `stepforge bench labelers --recording FILE.parquet`.
"""

from hashlib import blake2b
from itertools import accumulate
from pathlib import Path

import typer

from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.storage.shards import read_shard, write_shard
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.rollout import Repair, Rollout, Step

LETTERS = str.maketrans("0123456789", "ghijklmnop")


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
        "problem": row.problem.model_copy(update={"question": row.problem.id, "known_solution": None, "kept": ()}),
        "solutions": solutions,
        "evidence": tuple(map(_ended, row.evidence)),
        "own": tuple(map(_ended, row.own)),
        "further": (),
        "searched": (),
        "policy": policy,
        "completer": completer,
    }
    return row.model_copy(update=update)


def _named(rollout: Rollout) -> Rollout:
    """A prefix is recognized by its text: a digest of it takes its place, so solutions that share one still do."""
    texts = accumulate(step.text for step in rollout.steps)
    steps = [
        step.model_copy(update={"text": _name(text), "token_ids": (), "token_logprobs": ()})
        for text, step in zip(texts, rollout.steps, strict=True)
    ]
    return rollout.model_copy(update={"steps": tuple(steps), "repair": _silent(rollout.repair)})


def _name(text: str) -> str:
    """In letters, because labelers read what steps state."""
    return f"{blake2b(text.encode(), digest_size=8).hexdigest().translate(LETTERS)}\n"


def _ended(rollout: Rollout) -> Rollout:
    return rollout.model_copy(update={"steps": (Step(text="ended"),), "repair": _silent(rollout.repair)})


def _silent(repair: Repair | None) -> Repair | None:
    """A repair stays for its cost alone."""
    return repair and repair.model_copy(update={"message": "", "prompt": "", "text": ""})


if __name__ == "__main__":
    typer.run(main)
