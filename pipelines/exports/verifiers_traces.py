"""A solution as an episode of verifiers 0.4: a line of its ``traces.jsonl``, with tokens, mask and credit."""

from collections.abc import Iterator
from itertools import chain, groupby
from typing import Any

VERSION = {"version": "0.4.0"}
"""The verifiers whose trace schema this is."""


def episode(row: dict[str, Any], credit: list[float]) -> dict[str, Any]:
    """Return a row of ``step_advantages`` as an episode of one trace; ``credit`` has an entry for each token.

    The tokens of the prompt are not stored, so the first node has none. Times are zero: data holds no clock.
    """
    task = {
        "type": "StepforgeTask",
        "data": {"id": row["problem_id"], "prompt": row["question"]},
        "key": row["problem_id"],
    }
    asked = {"message": {"role": "user", "content": row["question"]}, "timestamp": 0.0}
    trace = {
        "id": row["solution_id"],
        "verifiers": VERSION,
        "task": task,
        "agent": {"config": {}, "name": "stepforge"},
        "nodes": [asked, *_written(row, credit)],
        "rewards": {"right_answer": {"score": row["reward"], "weight": 1.0}},
        "info": {"advantage_low": row["advantage_low"], "advantage_high": row["advantage_high"]},
        "is_completed": True,
        "ok": True,
        "stop_condition": "agent_completed",
        "timing": {"start": 0.0},
    }
    group = {"id": row["problem_id"]}
    return {"id": trace["id"], "env": {"id": "stepforge"}, "task": task, "group": group, "ok": True, "traces": [trace]}


def _written(row: dict[str, Any], credit: list[float]) -> Iterator[dict[str, Any]]:
    """Yield a node for what the policy wrote, and one for each tool's answer in between."""
    rest = iter(credit)
    steps = zip(row["learned"], row["steps"], row["token_ids"], row["logprobs"], strict=True)
    for parent, (learned, group) in enumerate(groupby(steps, key=lambda step: step[0])):
        _, texts, tokens, chances = zip(*group, strict=True)
        ids, logprobs = list(chain(*tokens)), list(chain(*chances))
        message = {"role": "assistant" if learned else "tool", "content": "".join(texts)}
        yield {
            "parent": parent,
            "message": message if learned else {**message, "tool_call_id": ""},
            "sampled": learned,
            "timestamp": 0.0,
            "token_ids": ids,
            "mask": [learned] * len(ids),
            "logprobs": logprobs if learned and len(logprobs) == len(ids) else [],
            "advantages": [next(rest) for _ in ids] if learned else None,
        }
