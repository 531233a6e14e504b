"""Problems worth a look: the twenty most informative solutions of a run (where its labels are certain, uncertain,
disputed, odd, or missing), and for every stage and reason a few problems that did not become rows."""

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from stepforge.pipelines.run_folder.ledger import StageTotal
from stepforge.pipelines.storage.layout import Layout, ShardStage
from stepforge.pipelines.storage.shards import read_rows
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.labeled import Failure, LabeledProblem, LabeledSolution, Rejected, Verdict
from stepforge.schemas.record import Record
from stepforge.schemas.seeds import seed_of

KINDS = {
    "surest": 4,
    "least sure": 4,
    "labelers disagree": 4,
    "right answer through a wrong step": 3,
    "repaired": 3,
    "failed": 2,
}
"""How many of each kind to show; if one has fewer, the others get more."""
CHOSEN = sum(KINDS.values())


class ChosenSolution(Record):
    why: str
    shard: int
    row: int
    problem_id: str
    solution: int
    """Its place among the problem's solutions, from 0."""


class Choice:
    """Keeps the best few of every kind while rows are read."""

    def __init__(self) -> None:
        self._best: dict[str, list[tuple[float, int, int, int, str, int]]] = defaultdict(list)

    def add(self, shard: int, number: int, row: LabeledProblem, truths: Sequence[Verdict]) -> None:
        for i, (solution, truth) in enumerate(zip(row.solutions, truths, strict=True)):
            for kind, score in _kinds(solution, truth):
                tie = seed_of("chosen", row.problem.id, solution.rollout.id)
                entry = (score, tie, shard, number, row.problem.id, i)
                best = self._best[kind]
                (heapq.heappush if len(best) < CHOSEN else heapq.heappushpop)(best, entry)

    def chosen(self) -> tuple[ChosenSolution, ...]:
        """Return them by kind; no problem twice while there are others."""
        waiting = {kind: sorted(self._best[kind], reverse=True) for kind in KINDS}
        taken: dict[str, list[ChosenSolution]] = {kind: [] for kind in KINDS}
        seen: set[tuple[str, int]] = set()
        for most, once in ((KINDS, True), (dict.fromkeys(KINDS, CHOSEN), True), (dict.fromkeys(KINDS, CHOSEN), False)):
            for kind in sorted(KINDS, key=lambda kind: len(waiting[kind])):  # scarce kinds choose first
                for _, _, shard, row, name, solution in waiting[kind]:
                    used = any(name == other for other, _ in seen) if once else (name, solution) in seen
                    if used or len(seen) == CHOSEN or len(taken[kind]) >= most[kind]:
                        continue
                    seen.add((name, solution))
                    at = ChosenSolution(why=kind, shard=shard, row=row, problem_id=name, solution=solution)
                    taken[kind].append(at)
        return tuple(one for kind in KINDS for one in taken[kind])


def _kinds(solution: LabeledSolution, truth: Verdict) -> Iterator[tuple[str, float]]:
    verdict, rollout = solution.verdict, solution.rollout
    if verdict.abstained or rollout.outcome == "undetermined":
        yield "failed", 0.0
        return
    erring = verdict.first_error is not None
    sure = _sureness(solution)
    if sure is not None:
        yield "surest", sure + erring  # a wrong step is more informative than a clean solution
        yield "least sure", -sure
    said = {v.first_error for v in solution.others if not v.abstained} | {verdict.first_error}
    if len(said) > 1:
        yield "labelers disagree", len(said) + 0.5 * erring
    if rollout.outcome == "correct" and (erring or truth.first_error is not None):
        yield "right answer through a wrong step", erring + 0.5 * (truth.first_error is not None)
    if rollout.repair is not None or "repaired" in (*(verdict.classes or ()), *(truth.classes or ())):
        yield "repaired", float("repaired" in (verdict.classes or ()))


def _sureness(solution: LabeledSolution) -> float | None:
    """The posterior of the verdict; without one, the gap between the intervals before and at the error."""
    verdict, error = solution.verdict, solution.verdict.first_error
    if verdict.posterior:
        return verdict.posterior[-1 if error is None else error]
    ends = [None if label is None else label.interval for label in solution.labels]
    if error is None:
        return min((end[0] for end in ends if end is not None), default=None)
    at, before = ends[error], ends[error - 1] if error else None
    return None if at is None else (1 + (1.0 if before is None else before[0]) - at[1]) / 2


EACH = 2
REASONS = 12
"""Number of most common reasons per stage with examples."""
LONGEST = 300


class LossExample(Record):
    stage: ShardStage
    reason: str
    """As the stage's ``rejected`` or ``failures`` count it."""
    problem_id: str
    text: str
    """The beginning of its question, or of the error."""


def loss_examples(layout: Layout, stages: Mapping[ShardStage, StageTotal]) -> tuple[LossExample, ...]:
    """Return examples of every stage's most common reasons; shards are read until each has some."""
    kinds: tuple[tuple[str, type[Rejected | Failure]], ...] = (("rejected", Rejected), ("failures", Failure))
    return tuple(
        example
        for stage, total in stages.items()
        for folder, record in kinds
        for example in _some(layout.folder / folder / stage, record, stage, getattr(total, folder))
    )


def _some(
    folder: AnyPath, record: type[Rejected | Failure], stage: ShardStage, counts: Mapping[str, int]
) -> Iterator[LossExample]:
    ranked = sorted(counts, key=lambda reason: -counts[reason])[:REASONS]
    wanted = Counter({reason: min(EACH, counts[reason]) for reason in ranked})
    paths: list[AnyPath] = sorted(folder.glob("part-[0-9]*.parquet"), key=lambda path: path.name)
    for row in chain.from_iterable(read_rows(path, record) for path in paths):
        if not wanted.total():
            return
        reason = _reason(row, wanted)
        if wanted[reason] > 0:
            wanted[reason] -= 1
            text = _question(row.row) if isinstance(row, Rejected) else row.message
            yield LossExample(stage=stage, reason=reason, problem_id=row.problem_id, text=text[:LONGEST])


def _reason(row: Rejected | Failure, wanted: Counter[str]) -> str:
    if isinstance(row, Failure):
        return row.error
    return row.filter if row.filter in wanted else f"{row.filter}: {row.reason}"  # malformed rows count as one


def _question(row: str) -> str:
    """The question of a row that was set aside, whichever record it is."""
    value = json.loads(row)
    problem = value.get("problem", value) if isinstance(value, dict) else {}
    return str(problem.get("question", "")) if isinstance(problem, dict) else ""
