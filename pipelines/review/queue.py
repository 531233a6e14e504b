"""Which steps are worth a person's time: those likely to change a label.

The value of asking about a step is the chance that the label is right once it is answered, minus that chance now
(Howard 1966, information value theory). Probabilities are the first labeler's, mixed with the others' verdicts
(``labelers.people_rule``): where they are unsure or disagree, an answer changes the label. The queue also has problems
with a suspect reference, because the solutions agree on another answer, and a few steps with a known truth: gold items,
which look like the others and measure the reviewer.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from operator import itemgetter
from typing import Literal, NamedTuple

from pydantic import ValidationError

from stepforge.labelers.oracle import oracle_verdict
from stepforge.labelers.people_rule import MISTAKES, OF, counting, likelihood, prior, updated
from stepforge.pipelines.reports.people import people_verdict
from stepforge.pipelines.review.candidates import SEED, candidates
from stepforge.pipelines.review.findings import FOLDER, by_solution
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.regular_files import read_small
from stepforge.pipelines.storage.shards import read_row, read_rows
from stepforge.pipelines.storage.store import write_text
from stepforge.schemas.errors import BadInput, RunFailed
from stepforge.schemas.labeled import COMPLETIONS, TOKENS, LabeledProblem, LabeledSolution
from stepforge.schemas.record import Record
from stepforge.schemas.review import StepFinding
from stepforge.schemas.seeds import rng_of

QUEUE_FILE = "queue.json"
GOLD_EVERY = 10
"""One item in this many has a known truth, if the run has any."""
SETTLED = 0.95
"""Probability of one first error above which a solution needs no more answers."""
LEAST_VALUE = 0.005
Reason = Literal["unsure", "no label yet", "labelers disagree", "would change the label", "reference suspected"]


class QueueItem(Record):
    """A solution to review, and the step to begin with."""

    shard: int
    row: int
    problem_id: str
    solution: int
    solution_id: str
    step: int
    value: float
    """Expected gain in the probability that the label is right."""
    reasons: tuple[str, ...] = ()
    gold: Literal["right", "wrong"] | None = None
    """The known truth of the step; never shown."""


class ReviewQueue(Record):
    """The items in display order, and what they were chosen from."""

    items: tuple[QueueItem, ...]
    solutions: int


class Doubt(NamedTuple):
    """The most valuable step to ask about in a solution."""

    step: int
    value: float


def next_doubt(belief: Sequence[float], labeled: int | None, asked: Iterable[int] = ()) -> Doubt | None:
    """Return the step to ask about next; None if no answer is worth much.

    ``labeled``: the first error of the current label, the number of steps for none, None if it abstains.
    """
    steps, known = len(belief) - 1, set(asked)
    if max(belief) >= SETTLED and belief[labeled or 0] == max(belief):
        return None
    now = 0.0 if labeled is None else belief[labeled]
    worth = {i: _after(belief, i) - now for i in range(steps) if i not in known}
    best = max(worth, key=worth.__getitem__, default=None)
    return None if best is None or worth[best] < LEAST_VALUE else Doubt(best, worth[best])


def _after(belief: Sequence[float], step: int) -> float:
    """Return the expected probability of the best label once a step is answered."""
    steps, rate = len(belief) - 1, MISTAKES / OF
    return sum(
        max(p * likelihood(i, step, steps, rate, wrong=wrong) for i, p in enumerate(belief)) for wrong in (True, False)
    )


def labeled_error(solution: LabeledSolution) -> int | None:
    """Return the first error of a label, the number of steps for none; None where it abstains."""
    verdict = solution.verdict
    if verdict.abstained:
        return None
    return len(solution.rollout.steps) if verdict.first_error is None else verdict.first_error


def doubt_of(solution: LabeledSolution, findings: Sequence[StepFinding] = ()) -> Doubt | None:
    said = counting(findings, solution.rollout)
    belief = updated(prior(solution), said, {})
    labeled = max(range(len(belief)), key=belief.__getitem__) if said else labeled_error(solution)
    answers = {i for i, step in enumerate(solution.rollout.steps) if step.author == "tool"}  # nobody's reasoning
    return next_doubt(belief, labeled, answers | {one.step for one in findings if one.step is not None})


def suspected_reference(row: LabeledProblem) -> float:
    """Return by what share of all more solutions give one other answer than the reference; 0 if none do."""
    answers = [s.rollout.answer for s in row.solutions if s.rollout.outcome == "wrong" and s.rollout.answer is not None]
    common = max(Counter(answers).values(), default=0)
    right = sum(s.rollout.outcome == "correct" for s in row.solutions)
    return max(0.0, (common - right) / len(row.solutions)) if common > 1 else 0.0


def build_queue(layout: Layout, top: int, findings: Iterable[StepFinding] = ()) -> ReviewQueue:
    """Return the ``top`` most valuable items, with gold items among them.

    Raises BadInput: nothing is labeled yet; RunFailed: a shard is damaged.
    """
    if not layout.shards("label"):
        raise BadInput(f"{layout.folder}: nothing is labeled yet; run it first")
    worth: list[QueueItem] = []
    gold: list[tuple[float, QueueItem]] = []
    promising, solutions = candidates(layout, top)
    for row, item in _items(layout, promising, findings):
        if item.value > 0:
            worth.append(item)
        if known := _gold(row, item):
            gold.append((rng_of(SEED, "gold", known.solution_id).random(), known))
    chosen = sorted(worth, key=lambda item: -item.value)[:top]
    asked = {item.solution_id for item in chosen}
    golden = [item for _, item in sorted(gold, key=itemgetter(0)) if item.solution_id not in asked]
    golden = golden[: -(-top // (GOLD_EVERY - 1))]
    return ReviewQueue(items=tuple(_mixed(chosen, golden)), solutions=solutions)


def _items(
    layout: Layout, rows: Mapping[int, set[int]], findings: Iterable[StepFinding]
) -> Iterator[tuple[LabeledProblem, QueueItem]]:
    said = by_solution(findings)
    for shard, only in sorted(rows.items()):
        read = read_rows(layout.shard("label", shard), LabeledProblem, without=(*COMPLETIONS, *TOKENS), only=only)
        for number, row in zip(sorted(only), read, strict=True):
            suspected = suspected_reference(row)
            for place, solution in enumerate(row.solutions):
                if not solution.rollout.steps:
                    continue
                known = said[row.problem.id, solution.rollout.id]
                doubt = doubt_of(solution, known)
                reasons = list(_reasons(solution)) if doubt else []
                value = doubt.value if doubt else 0.0
                if suspected and not known and solution.rollout.outcome == "wrong":
                    reasons, value = [*reasons, "reference suspected"], max(value, suspected / 2)
                yield (
                    row,
                    QueueItem(
                        shard=shard,
                        row=number,
                        problem_id=row.problem.id,
                        solution=place,
                        solution_id=solution.rollout.id,
                        step=doubt.step if doubt else 0,
                        value=round(value, 4),
                        reasons=tuple(reasons),
                    ),
                )


def _reasons(solution: LabeledSolution) -> Iterator[Reason]:
    belief, named = prior(solution), labeled_error(solution)
    if named is None:
        yield "no label yet"
    elif max(belief) < 0.8:
        yield "unsure"
    if named is not None and belief[named] < max(belief):
        yield "would change the label"
    verdicts = (solution.verdict, *solution.others)
    if len({v.first_error for v in verdicts if not v.abstained and v.labeler != "oracle"}) > 1:
        yield "labelers disagree"


def _gold(row: LabeledProblem, item: QueueItem) -> QueueItem | None:
    """Return a gold item on a solution, if its truth is known; wrong steps are chosen as often as right ones."""
    solution = row.solutions[item.solution]
    truth = oracle_verdict(row.problem, solution.rollout) if row.problem.truth else people_verdict(solution.rollout)
    if truth is None or truth.abstained or not truth.classes:
        return None
    rng = rng_of(SEED, "gold step", solution.rollout.id)
    want = rng.choice(("right", "wrong"))
    places = [i for i, known in enumerate(truth.classes) if known == want]
    if not places:
        return None
    step = places[0] if want == "wrong" else rng.choice(places)
    return item.model_copy(update={"step": step, "gold": want, "value": 0.0, "reasons": ()})


def _mixed(items: Sequence[QueueItem], gold: Sequence[QueueItem]) -> Iterator[QueueItem]:
    """Put a gold item into each section of the queue, at an unpredictable place."""
    rng, left = rng_of(SEED, "gold places"), list(gold)
    for first in range(0, len(items), GOLD_EVERY - 1):
        stretch = list(items[first : first + GOLD_EVERY - 1])
        if left:
            stretch.insert(rng.randrange(len(stretch) + 1), left.pop())
        yield from stretch


def save_queue(layout: Layout, queue: ReviewQueue) -> None:
    write_text(layout.folder / FOLDER / QUEUE_FILE, queue.model_dump_json(indent=1) + "\n")


def read_queue(layout: Layout) -> ReviewQueue | None:
    path = layout.folder / FOLDER / QUEUE_FILE
    try:
        return ReviewQueue.model_validate_json(read_small(path)) if path.exists() else None
    except ValidationError:
        again = f"`stepforge review {layout.folder} --again` builds a new one"
        raise RunFailed(f"{path}: damaged, or of another version; {again}") from None


def row_of(layout: Layout, item: QueueItem) -> LabeledProblem | None:
    """Return an item's problem; None if the run has changed since the queue was built."""
    path = layout.shard("label", item.shard)
    with suppress(IndexError):
        row = read_row(path, LabeledProblem, item.row) if path.exists() else None
        if row is not None and row.problem.id == item.problem_id and 0 <= item.solution < len(row.solutions):
            return row if 0 <= item.step < len(row.solutions[item.solution].rollout.steps) else None
    return None
