"""The card's examples as session traces: a file for each in the layout that the Hub's viewer shows, and one of rows.

``datasets`` reads all configurations of a repository with the reader of the first, so the configuration ``traces`` is
Parquet like the others, with the columns into which ``datasets`` itself turns traces. The Hub recognizes the JSON lines
next to it by their content (hub docs, session-traces-format).
"""

import json

from stepforge.pipelines.exports.chat import said
from stepforge.pipelines.exports.contract import Turn
from stepforge.pipelines.reports.card.contents import Example
from stepforge.schemas.record import Record

SESSIONS = "traces"
"""Folder and configuration of the traces; no export may have this name."""
SESSION_ROWS = "train-sessions.parquet"
HARNESS = "stepforge"


class SessionRow(Record):
    harness: str
    session_id: str
    prompt: str
    messages: tuple[Turn, ...]
    num_user_messages: int
    trace: str
    """The lines of its file."""
    outcome: str
    first_error: int
    labeler: str


def session_row(example: Example) -> SessionRow:
    """Return a solution as a session: a header, then one message per line."""
    solution, problem = example.solution, example.problem
    error = -1 if solution.verdict.first_error is None else solution.verdict.first_error
    found = {"outcome": solution.rollout.outcome, "first_error": error, "labeler": solution.verdict.labeler}
    header = {"type": "session", "harness": HARNESS, "id": solution.rollout.id, "name": problem.id, **found}
    turns = [{"role": "user", "content": problem.question}, *said(solution.rollout.steps, "think")]
    lines = [header, *({"type": "message", "message": turn} for turn in turns)]
    return SessionRow(
        harness=HARNESS,
        session_id=solution.rollout.id,
        prompt=problem.question,
        messages=tuple(Turn.model_validate(turn) for turn in turns),
        num_user_messages=1,
        trace="".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines),
        outcome=solution.rollout.outcome,
        first_error=error,
        labeler=solution.verdict.labeler,
    )
