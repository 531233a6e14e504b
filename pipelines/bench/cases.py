"""A labeler's verdict on each recorded solution, with the truth: the rows behind every figure.

Its policy and grader answer from recorded completions, so every labeler is measured on the same draws. A seed shuffles
the completions of each prefix; a labeler gets them from the front, without replacement, and is charged for each.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from stepforge.labelers import Labeler
from stepforge.labelers.evidence.replay import completions_by_prefix, solved_part
from stepforge.pipelines.reports.label_accuracy import Judged
from stepforge.pipelines.reports.people import in_half, known_truth
from stepforge.schemas.labeled import Cost, LabeledProblem, Verdict
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Completion, Sampling
from stepforge.schemas.rollout import Outcome as RolloutOutcome
from stepforge.schemas.rollout import PolicyIdentity, Rollout, Step, pass_rate
from stepforge.schemas.seeds import rng_of

ABLE = "base rate at least 0.4"
WEAK = "base rate below 0.4"
FREE, LONG = "_free", "_long"
"""End the source of a problem in free and in long wording."""
PROSE = "prose"
"""The wording of everything that no family of the laboratory wrote."""


class NotRecorded(LookupError):
    """A labeler requested something that is not in the recording."""


class RecordedPolicy:
    """Implements ``schemas.protocols.Policy`` for one problem."""

    def __init__(self, row: LabeledProblem, seed: int | None) -> None:
        """Without a seed the completions keep the order in which they were drawn."""
        self.identity: PolicyIdentity = row.policy
        self._known = completions_by_prefix(row)
        if seed is not None:
            for prefix, recorded in self._known.items():
                rng_of(seed, row.problem.id, prefix).shuffle(recorded)
        self._given: dict[str, int] = {}
        self.reused = 0
        """Completions given out again, because the recording had no more for their prefix."""

    async def sample(self, problem: Problem, prefix: Sequence[Step], *, n: int, seed: int) -> list[Rollout]:
        """Return the next ``n`` recorded completions. Raises NotRecorded: there are none of this prefix."""
        text = "".join(step.text for step in prefix)
        recorded = self._known.get(text)
        if not recorded:
            raise NotRecorded(f"{problem.id}: no completions of {len(prefix)} steps")
        first = self._given.get(text, 0)
        self._given[text] = first + n
        self.reused += max(0, first + n - max(first, len(recorded)))
        return [_nth(recorded, i) for i in range(first, first + n)]

    async def likelihood(self, problem: Problem, prefix: Sequence[Step], lead: str, text: str) -> Completion:
        """Nothing but completions is recorded. Raises NotRecorded: always."""
        raise NotRecorded("likelihoods of answers are not recorded")

    async def ask(self, text: str, *, n: int, seed: int, sampling: Sampling, chat: bool = False) -> list[Completion]:
        """Nothing but completions is recorded. Raises NotRecorded: always."""
        raise NotRecorded("answers of a judge are not recorded")


class RecordedGrader:
    """Implements ``schemas.protocols.Grader`` from the outcomes in a recording."""

    def __init__(self, row: LabeledProblem) -> None:
        rollouts = [*row.evidence, *(s.rollout for s in row.solutions)]
        self._outcomes: dict[str, RolloutOutcome] = {r.answer: r.outcome for r in rollouts if r.answer is not None}

    async def grade(self, problem: Problem, answers: Sequence[str | None]) -> list[RolloutOutcome]:
        return ["undetermined" if answer is None else self._outcomes[answer] for answer in answers]


def _nth(recorded: list[Rollout], i: int) -> Rollout:
    """Past the end the recording starts over, under new names."""
    again, place = divmod(i, len(recorded))
    return recorded[place] if not again else recorded[place].model_copy(update={"id": f"{recorded[place].id}~{again}"})


class BenchProblem(NamedTuple):
    row: LabeledProblem
    truths: tuple[Verdict, ...]
    """People's verdict on each solution, else the oracle's; an abstention if there is neither."""
    family: str
    """Family or problem set; a half of the groups where there is only one (``two_parts``)."""
    wording: str
    strata: tuple[str, ...]

    @property
    def solving(self) -> Cost:
        return Cost.of([*(s.rollout for s in self.row.solutions), *self.row.own])


class Outcome(NamedTuple):
    judged: tuple[Judged, ...]
    """One per solution with a determined outcome."""
    cost: Cost
    reused: int = 0
    """Completions given out a second time, because the recording had no more."""
    asked: int = 0
    """Wrong solutions that a completion of a prefix was drawn for, of ..."""
    askable: int = 0
    """... those with a prefix to ask about: two steps or more."""


def bench_problem(row: LabeledProblem) -> BenchProblem | None:
    """Return a problem with its truth; None if there is none, or if a prefix was not recorded."""
    truths = tuple(known_truth(row.problem, s.rollout) for s in row.solutions)
    if all(truth.abstained for truth in truths) or not _dense(row):
        return None
    source = row.problem.source
    reading = None if row.problem.truth is None else row.problem.truth.reading
    sentences = "long" if source.endswith(LONG) else "free"
    wording = {"lines": "plain", "sentences": sentences}.get(reading or "", PROSE)
    base = base_rate(row)
    strata = ("all", *(() if base is None else (ABLE if base >= 0.4 else WEAK,)))
    return BenchProblem(row, truths, source.removesuffix(FREE).removesuffix(LONG), wording, strata)


def two_parts(problems: Sequence[BenchProblem]) -> list[BenchProblem]:
    """Return the problems; a single family is split in two by a hash of groups, for cross-validation."""
    if len({p.family for p in problems}) != 1:
        return list(problems)
    return [p._replace(family=f"{p.family}, half {in_half(p.row.problem.group) + 1}") for p in problems]


def base_rate(row: LabeledProblem) -> float | None:
    """Return the share of right ones among the samples of the question that are not the labeled solutions."""
    root = [r for r in row.evidence if r.start is not None and r.start.steps == 0]
    known = pass_rate([*row.own, *root])
    return row.pass_rate if known is None else known


def replay(part: Labeler, problems: Sequence[BenchProblem], seed: int) -> Iterator[Outcome]:
    for problem, policy, row in _labeled(part, problems, seed):
        wrong = [s for s in row.solutions if s.rollout.outcome == "wrong" and len(s.labels) > 1]
        asked = sum(any(label is not None and label.trials for label in s.labels[:-1]) for s in wrong)
        verdicts, cost = [s.verdict for s in row.solutions], sum((entry.cost for entry in row.costs), Cost())
        yield Outcome(judged(problem, verdicts), cost, policy.reused, asked, len(wrong))


def labeled_rows(part: Labeler, problems: Iterable[BenchProblem], seed: int) -> list[LabeledProblem]:
    """Return a labeler's results on recordings, to fit rates to."""
    return [row for _, _, row in _labeled(part, problems, seed)]


def _labeled(
    part: Labeler, problems: Iterable[BenchProblem], seed: int
) -> Iterator[tuple[BenchProblem, RecordedPolicy, LabeledProblem]]:
    with asyncio.Runner() as runner:
        for problem in problems:
            policy, labeled = RecordedPolicy(problem.row, seed), list[LabeledProblem]()
            runner.run(_label(part, problem.row, policy, seed, labeled))
            yield problem, policy, labeled[0]


async def _label(
    part: Labeler, row: LabeledProblem, policy: RecordedPolicy, seed: int, labeled: list[LabeledProblem]
) -> None:  # returns nothing: the runner would write a returned value into an error that it then drops
    labeled.append(await part(solved_part(row), policy, RecordedGrader(row), seed=seed))


def judged(problem: BenchProblem, verdicts: Sequence[Verdict]) -> tuple[Judged, ...]:
    """Return verdicts with the truth; truncated solutions have no known end and are left out, as are unjudged ones."""
    return tuple(
        Judged(verdict, truth, solution.rollout.outcome == "correct")
        for solution, truth, verdict in zip(problem.row.solutions, problem.truths, verdicts, strict=True)
        if solution.rollout.outcome != "undetermined" and not truth.abstained
    )


def _dense(row: LabeledProblem) -> bool:
    known = completions_by_prefix(row)
    for solution in row.solutions:
        text = ""
        for step in solution.rollout.steps[:-1] if solution.rollout.outcome == "wrong" else ():
            text += step.text
            if text not in known:
                return False
    return True
