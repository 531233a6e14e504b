"""Reviewers' accuracy: against gold items, and against each other (Cohen 1960, Educational and Psychological
Measurement 20, p. 37)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from statistics import median_high

from stepforge.labelers.people_rule import MISTAKES, OF, Reliability, standing
from stepforge.pipelines.review.queue import ReviewQueue
from stepforge.schemas.interval import Share, share_of
from stepforge.schemas.record import Record
from stepforge.schemas.review import StepFinding

Place = tuple[str, str, int | None]
VERDICTS = {"right": "right", "redundant": "right", "wrong": "wrong", "repaired": "wrong"}
"""Whether a step is right, by finding; the other findings do not say."""


class ReviewerFigures(Record):
    reviewer: str
    findings: int
    gold: int
    """Gold items answered."""
    gold_right: Share | None
    mistakes: float
    """Estimated error rate: gold items, with a prior of one mistake in twenty."""
    seconds: float | None
    """Median time of a finding."""


class PairAgreement(Record):
    reviewers: tuple[str, str]
    steps: int
    """Those that both judged."""
    agree: Share | None
    kappa: float | None
    """Agreement beyond chance: 0 at chance, 1 always. None if chance alone would always agree."""


class ReviewFigures(Record):
    findings: int
    steps: int
    solutions: int
    reviewers: tuple[ReviewerFigures, ...]
    pairs: tuple[PairAgreement, ...]
    unsettled: int
    """Steps on which reviewers differ, not settled by anyone."""
    weak: int
    """Usage logs among the findings."""


def review_figures(findings: Sequence[StepFinding], queue: ReviewQueue | None) -> ReviewFigures:
    asked = [one for one in standing(findings) if not one.weak]
    names = sorted({one.reviewer for one in asked})
    items = queue.items if queue else ()
    golden: dict[Place, str] = {(i.problem_id, i.solution_id, i.step): i.gold for i in items if i.gold}
    return ReviewFigures(
        findings=len(findings),
        steps=len({place_of_step(one) for one in asked}),
        solutions=len({(one.problem_id, one.solution_id) for one in asked}),
        reviewers=tuple(_reviewer(name, [one for one in asked if one.reviewer == name], golden) for name in names),
        pairs=tuple(_pair(a, b, asked) for a, b in combinations(names, 2)),
        unsettled=len(disputed(findings)),
        weak=sum(one.weak for one in findings),
    )


def reliabilities(findings: Sequence[StepFinding], queue: ReviewQueue | None) -> tuple[Reliability, ...]:
    figures = review_figures(findings, queue)
    return tuple(Reliability(reviewer=one.reviewer, mistakes=one.mistakes) for one in figures.reviewers)


def disputed(findings: Iterable[StepFinding]) -> dict[Place, list[StepFinding]]:
    """Return the steps on which reviewers differ in whether they are right, not settled by anyone."""
    by_step: dict[Place, list[StepFinding]] = defaultdict(list)
    for one in standing(findings):
        if not one.weak and one.step is not None:
            by_step[place_of_step(one)].append(one)
    return {
        place: said
        for place, said in by_step.items()
        if len({VERDICTS.get(one.finding) for one in said} - {None}) > 1 and not any(one.adjudicates for one in said)
    }


def place_of_step(one: StepFinding) -> Place:
    return one.problem_id, one.solution_id, one.step


def cohens_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    if not pairs:
        return None
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(first[label] * second[label] for label in first) / len(pairs) ** 2
    agree = sum(a == b for a, b in pairs) / len(pairs)
    return None if chance == 1 else (agree - chance) / (1 - chance)


def _reviewer(name: str, said: Sequence[StepFinding], golden: dict[Place, str]) -> ReviewerFigures:
    judged = ((VERDICTS.get(one.finding), golden.get(place_of_step(one))) for one in said)
    known = [verdict == truth for verdict, truth in judged if verdict and truth]
    times = [one.seconds for one in said if one.seconds is not None]
    return ReviewerFigures(
        reviewer=name,
        findings=len(said),
        gold=len(known),
        gold_right=share_of(sum(known), len(known)),
        mistakes=(known.count(False) + MISTAKES) / (len(known) + OF),
        seconds=round(median_high(times), 2) if times else None,
    )


def _pair(first: str, second: str, said: Sequence[StepFinding]) -> PairAgreement:
    judged = [one for one in said if one.finding in VERDICTS and not one.adjudicates]
    mine = {place_of_step(one): VERDICTS[one.finding] for one in judged if one.reviewer == first}
    theirs = {place_of_step(one): VERDICTS[one.finding] for one in judged if one.reviewer == second}
    pairs = [(verdict, theirs[place]) for place, verdict in mine.items() if place in theirs]
    kappa = cohens_kappa(pairs)
    return PairAgreement(
        reviewers=(first, second),
        steps=len(pairs),
        agree=share_of(sum(a == b for a, b in pairs), len(pairs)),
        kappa=None if kappa is None else round(kappa, 4),
    )


def review_text(figures: ReviewFigures) -> str:
    lines = [f"{figures.findings} findings on {figures.steps} steps of {figures.solutions} solutions"]
    for one in figures.reviewers:
        gold, measured = one.gold_right, "no gold"
        if gold:
            measured = f"gold {gold.share:.0%} right of {one.gold} ({gold.low:.0%} to {gold.high:.0%})"
        pace = "" if one.seconds is None else f", {one.seconds:g} s per step"
        lines.append(f"  {one.reviewer}: {one.findings} findings, {measured}{pace}")
    for pair in figures.pairs:
        if pair.agree:
            kappa = "undefined" if pair.kappa is None else f"{pair.kappa:.2f}"
            lines.append(
                f"  {' and '.join(pair.reviewers)}: {pair.steps} steps in common, "
                f"{pair.agree.share:.0%} agree, Cohen's kappa {kappa}"
            )
    if figures.unsettled:
        lines.append(f"  {figures.unsettled} steps are disputed: stepforge view DIR --adjudicate")
    return "\n".join(lines)
