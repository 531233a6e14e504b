"""The problems of a run, one per line: how far each got, what was found in its solutions, and why it was lost."""

from collections.abc import Iterator, Sequence

from stepforge.labelers.oracle import oracle_verdict
from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.run_folder.failures import lost_problems
from stepforge.pipelines.run_folder.rows import problem_ids
from stepforge.pipelines.storage.layout import Layout, ShardStage, shard_index
from stepforge.pipelines.storage.shards import read_rows
from stepforge.pipelines.storage.store import AnyPath
from stepforge.pipelines.terminal.tables import table
from stepforge.schemas.labeled import COMPLETIONS, TOKENS, LabeledProblem, LabeledSolution
from stepforge.schemas.problem import Problem
from stepforge.schemas.record import Record

UNLABELED: dict[ShardStage, str] = {"generate": "not solved yet", "solve": "not labeled yet"}
SHOWN = 60
"""Characters of a reason in the table; ``--json`` and the problem's own page show all."""


class ListedProblem(Record):
    id: str
    state: str
    """``labeled``, ``failed``, ``rejected``, or the next stage to do."""
    solutions: int = 0
    """Those of a labeled problem; so are the next four."""
    right_answers: int = 0
    wrong: int = 0
    """Solutions in which the labeler finds a wrong step."""
    abstained: int = 0
    disagree: int = 0
    """Solutions on which two verdicts differ: the labelers', people's, and the oracle's where it knows the truth."""
    why: str = ""
    """Why it was lost, or why its labeler abstains."""

    @property
    def failed(self) -> bool:
        return self.state in ("failed", "rejected")


def list_problems(folder: AnyPath, asked: Sequence[str]) -> list[ListedProblem]:
    """``asked``: what of ``wrong``, ``abstained``, ``disagree`` and ``failed`` to list; everything if nothing is."""
    _, layout = open_run(folder)
    lost = lost_problems(layout)
    known = {row.id: row for row in _reached(layout)}
    for name, loss in lost.items():
        row = known.get(name, ListedProblem(id=name, state=loss.how))
        known[name] = row.model_copy(update={"state": loss.how, "why": str(loss)})
    return [row for row in known.values() if not asked or any(getattr(row, name) for name in asked)]


def _reached(layout: Layout) -> Iterator[ListedProblem]:
    """Yield the problems of each stage; of one that came further, the last counts."""
    for stage, state in UNLABELED.items():
        for path in layout.shards(stage):
            for name in problem_ids(layout, stage, shard_index(path)):
                yield ListedProblem(id=name, state=state)
    for path in layout.shards("label"):
        yield from map(_counted, read_rows(path, LabeledProblem, without=(*COMPLETIONS, *TOKENS)))


def _counted(row: LabeledProblem) -> ListedProblem:
    verdicts = [solution.verdict for solution in row.solutions]
    reasons = dict.fromkeys(v.reason for v in verdicts if v.abstained and v.reason)
    return ListedProblem(
        id=row.problem.id,
        state="labeled",
        solutions=len(row.solutions),
        right_answers=sum(solution.rollout.outcome == "correct" for solution in row.solutions),
        wrong=sum(v.first_error is not None for v in verdicts),
        abstained=sum(v.abstained for v in verdicts),
        disagree=sum(_disagree(row.problem, solution) for solution in row.solutions),
        why="; ".join(reasons),
    )


def _disagree(problem: Problem, solution: LabeledSolution) -> bool:
    verdicts = (*solution.verdicts, oracle_verdict(problem, solution.rollout))
    people = solution.rollout.people
    named = {verdict.first_error for verdict in verdicts if not verdict.abstained}
    return len(named | ({people.first_error} if people else set())) > 1


def problems_text(rows: list[ListedProblem], folder: AnyPath) -> str:
    if not rows:
        return "no such problem"
    head = ("problem", "state", "solutions", "right answers", "wrong step found", "abstained", "disagree", "why")
    more = f"{len(rows)} problems; to see one with its steps: stepforge show {folder} ID"
    return f"{table(head, map(_cells, rows))}\n\n{more}"


def _cells(row: ListedProblem) -> tuple[object, ...]:
    counts = (row.solutions, row.right_answers, row.wrong, row.abstained, row.disagree)
    shown = counts if row.solutions else (None,) * len(counts)
    return (row.id, row.state, *shown, row.why if len(row.why) <= SHOWN else row.why[: SHOWN - 3] + "...")
