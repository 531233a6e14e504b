"""The card's examples as session traces, the layout that the Hub's trace viewer shows: a file for each.

The card's YAML does not list them: ``datasets`` reads all configurations of a repository with the reader of the first,
so a configuration of JSON lines beside Parquet ones could not be loaded. The Hub knows such files by their content.
"""

import json

from stepforge.pipelines.exports.conversations import said
from stepforge.pipelines.reports.card.contents import Example

SESSIONS = "traces"
"""Folder of the traces; no export may have this name."""


def sessions(examples: list[Example]) -> dict[str, str]:
    """Return a text for each file name: a header, then a message a line."""
    return {f"{number:05d}.jsonl": _session(example) for number, example in enumerate(examples)}


def _session(example: Example) -> str:
    solution, problem = example.solution, example.problem
    header = {
        "type": "session",
        "harness": "stepforge",
        "id": solution.rollout.id,
        "name": problem.id,
        "outcome": solution.rollout.outcome,
        "first_error": -1 if solution.verdict.first_error is None else solution.verdict.first_error,
        "labeler": solution.verdict.labeler,
    }
    turns = [{"role": "user", "content": problem.question}, *said(solution.rollout.steps, "think")]
    lines = [header, *({"type": "message", "message": turn} for turn in turns)]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
