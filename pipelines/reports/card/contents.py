"""The contents of the curated rows, counted shard by shard, and twenty example solutions, also as session traces.

The traces are a file for each in the layout that the Hub's viewer shows, and one of rows. ``datasets`` reads all
configurations of a repository with the reader of the first, so the configuration ``traces`` is Parquet like the others,
with the columns into which ``datasets`` itself turns traces. The Hub recognizes the JSON lines next to it by their
content (hub docs, session-traces-format).
"""

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from stepforge.pipelines.exports.chat import said
from stepforge.pipelines.exports.contract import Turn
from stepforge.pipelines.exports.marked import StepLabels
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution
from stepforge.schemas.problem import Problem
from stepforge.schemas.record import Record
from stepforge.schemas.seeds import seed_of

EXAMPLES = 20
VALUE_BINS = 10
SESSIONS = "traces"
"""Folder and configuration of the traces; no export may have this name."""
SESSION_ROWS = "train-sessions.parquet"
HARNESS = "stepforge"


class CardExample(NamedTuple):
    order: int
    """Negated hash of its id, which decides which ones are shown."""
    problem: Problem
    solution: LabeledSolution


class Contents:
    def __init__(self) -> None:
        self.slices: dict[str, Counter[str]] = defaultdict(Counter)
        """Counts of all rows, and by domain and difficulty."""
        self.sources: Counter[str] = Counter()
        self.labeled_steps: Counter[bool] = Counter()
        """Distinct solutions' steps by label, as ``stepwise`` exports them."""
        self.first_errors: Counter[int] = Counter()
        self.values: Counter[int] = Counter()
        """Measured values by tenths; 1 counts as the last."""
        self._shown: dict[bool, list[CardExample]] = {True: [], False: []}

    def add(self, row: LabeledProblem) -> None:
        problem = row.problem
        self.sources[problem.source] += 1
        counts = {
            "problems": 1,
            "solutions": len(row.solutions),
            "right answers": sum(solution.rollout.outcome == "correct" for solution in row.solutions),
            "with a wrong step": sum(solution.verdict.first_error is not None for solution in row.solutions),
            "undecided": sum(solution.verdict.abstained for solution in row.solutions),
        }
        level = "unknown" if problem.difficulty is None else problem.difficulty
        for name in ("all", f"domain {problem.domain}", f"difficulty {level}"):
            self.slices[name].update(counts)
        marked = list(StepLabels().marked(row))
        for solution, _, labels, measured in marked:
            self.labeled_steps.update(labels)
            self.values.update(min(VALUE_BINS - 1, int(m.value * VALUE_BINS)) for m in measured if m is not None)
            if solution.verdict.first_error is not None:
                self.first_errors[solution.verdict.first_error] += 1
        self._show(problem, [m.solution for m in marked])

    def _show(self, problem: Problem, solutions: Iterable[LabeledSolution]) -> None:
        """Keep the ten smallest hashes with an error and the ten without; one of each kind per problem."""
        seen = set()
        for solution in solutions:
            erring = solution.verdict.first_error is not None
            if erring in seen:
                continue
            seen.add(erring)
            order = -seed_of("example", problem.id, solution.rollout.id)
            shown = self._shown[erring]
            if len(shown) < EXAMPLES // 2 or order > shown[0].order:
                example = CardExample(order, problem, solution)
                (heapq.heappush if len(shown) < EXAMPLES // 2 else heapq.heappushpop)(shown, example)

    @property
    def examples(self) -> list[CardExample]:
        """Twenty solutions, or as many as there are, alternating with and without an error."""
        erring, clean = (sorted(self._shown[kind], reverse=True) for kind in (True, False))
        both = [example for pair in zip(erring, clean, strict=False) for example in pair]
        return [*both, *erring[len(clean) :], *clean[len(erring) :]]


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


def session_row(example: CardExample) -> SessionRow:
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
