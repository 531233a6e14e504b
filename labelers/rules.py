"""Labels are views: each rule turns the stored counts of a problem into targets and verdicts; nothing is sampled.

A target is the training value of a step, None where there is no evidence. ``stepforge relabel`` applies a rule
to a whole run.
"""

from collections.abc import Sequence
from itertools import pairwise, takewhile
from typing import Annotated, Literal, NamedTuple, get_args

from pydantic import Field

from stepforge.labelers.change_point.labeler import ChangePoint
from stepforge.labelers.consensus import Skill, agreed, fused
from stepforge.labelers.evidence.replay import stored_evidence
from stepforge.labelers.labeling import TRUNCATED, abstention, of_policy
from stepforge.labelers.people_rule import PeopleRule
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, StepLabel, Verdict
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import pass_rate

UNMEASURED = "the step at which success ends was not measured"


class View(NamedTuple):
    targets: tuple[float | None, ...]
    verdict: Verdict


class Hard(Record):
    """1 if any completion succeeds (Math-Shepherd's hard estimation, equation 3; OmegaPRM section 3.4)."""

    kind: Literal["hard"] = "hard"

    def view(self, row: LabeledProblem, solution: LabeledSolution) -> View:
        hard = [None if label is None else label.hard for label in solution.labels]
        return _view(self.kind, solution, [None if h is None else float(h) for h in hard], first_loss(hard))


class Soft(Record):
    """The share of completions that succeed (equation 4); under another stopping rule the mean under a flat prior."""

    kind: Literal["soft"] = "soft"
    threshold: float = Field(default=0.0, ge=0, lt=1)
    """The first step at or below this is the first error."""

    def view(self, row: LabeledProblem, solution: LabeledSolution) -> View:
        targets = list(map(_value, solution.labels))
        alive = [None if label is None else self._alive(label) for label in solution.labels]
        return _view(self.kind, solution, targets, first_loss(alive))

    def _alive(self, label: StepLabel) -> bool | None:
        value = _value(label) if self.threshold else label.value
        return None if value is None else value > self.threshold


class Advantage(Record):
    """V after a step minus V before it (PAV, arXiv 2410.08146, equation 3); the largest loss is the first error."""

    kind: Literal["advantage"] = "advantage"

    def view(self, row: LabeledProblem, solution: LabeledSolution) -> View:
        """Return the differences; the verdict needs every step measured."""
        values = values_with_base(row, solution)
        targets = [None if a is None or b is None else b - a for a, b in pairwise(values)]
        known = [t for t in targets if t is not None]
        lost = targets.index(min(known)) if min(known, default=0.0) < 0 else len(targets)
        return _view(self.kind, solution, targets, lost if len(known) == len(targets) else None)


class RelativeProgress(Record):
    """V after a step over V before it (GenPRM); the first step that keeps less than ``least`` is the first error."""

    kind: Literal["relative_progress"] = "relative_progress"
    least: float = Field(default=0.8, gt=0, le=1)

    def view(self, row: LabeledProblem, solution: LabeledSolution) -> View:
        """Return the ratios, at most 1; 0 once V is 0, None if V rises from 0."""
        values = values_with_base(row, solution)
        targets = [_kept(a, b) for a, b in pairwise(values)]
        return _view(
            self.kind, solution, targets, first_loss([None if t is None else t >= self.least for t in targets])
        )


class Scan(Record):
    """SCAN's labels (arXiv 2509.16548, released code): 1 before the error, 0 at it, and the ``tolerance`` steps before
    it get min(1, (c/k) / SC), SC the base rate: a weak policy, or a position missed by one or two, costs less."""

    kind: Literal["scan"] = "scan"
    tolerance: int = Field(default=2, ge=0)

    def view(self, row: LabeledProblem, solution: LabeledSolution) -> View:
        """Return the corrected labels up to the error; later steps have none."""
        error, steps = solution.verdict.first_error, len(solution.rollout.steps)
        verdict = solution.verdict.model_copy(update={"labeler": self.kind, "posterior": None})
        if solution.verdict.abstained:
            return View((None,) * steps, verdict)
        if error is None:
            return View((1.0,) * steps, verdict)
        base = base_rate(row)
        targets: list[float | None] = [1.0] * error + [0.0] + [None] * (steps - error - 1)
        for i in range(max(0, error - self.tolerance), error):
            value = _value(solution.labels[i])
            targets[i] = None if value is None or not base else min(1.0, value / base)
        return View(tuple(targets), verdict)


class PosteriorRule(Record):
    """The change-point model on the stored evidence, whichever labeler drew it: the probability that a step and all
    before it are right."""

    kind: Literal["posterior"] = "posterior"
    model: ChangePoint = ChangePoint()

    def view(self, row: LabeledProblem, solution: LabeledSolution) -> View:
        rollout = solution.rollout
        if rollout.outcome == "undetermined" or not rollout.steps:
            return _view(self.kind, solution, (None,) * len(rollout.steps), None)
        verdict = self.model.verdict_on(rollout, stored_evidence(row)).model_copy(update={"labeler": self.kind})
        return View(tuple(verdict.right_so_far), verdict)


class Agreement(Record):
    """The verdict that all of the named labelers share (arXiv 2501.07301); otherwise it is marked. People's verdict
    takes precedence."""

    kind: Literal["agreement"] = "agreement"
    of: tuple[str, ...] = ()
    """Labelers of the run; by default all but the oracle."""

    def view(self, row: LabeledProblem, solution: LabeledSolution) -> View:
        verdict = _of_people(self.kind, solution) or agreed(self.kind, opinions(solution, self.of))
        return _by_verdict(verdict, solution)


class Fusion(Record):
    """All labelers' verdicts, weighted by their error rates measured on problems with a known truth. People's verdict
    takes precedence."""

    kind: Literal["fusion"] = "fusion"
    of: tuple[str, ...] = ()
    skills: tuple[Skill, ...] = ()
    sure: float = Field(default=0.5, ge=0, lt=1)

    def view(self, row: LabeledProblem, solution: LabeledSolution) -> View:
        if spoken := _of_people(self.kind, solution):
            return _by_verdict(spoken, solution)
        skills = {skill.labeler: skill for skill in self.skills}
        verdicts = [v for v in opinions(solution, self.of) if v.labeler in skills]
        return _by_verdict(fused(self.kind, verdicts, skills, len(solution.rollout.steps), sure=self.sure), solution)


class People(PeopleRule):
    """People's findings combined with the labelers' posteriors; an unreviewed solution keeps its label."""

    def view(self, row: LabeledProblem, solution: LabeledSolution) -> View:
        verdict = self.verdict_on(row.problem.id, solution)
        return View(solution.targets, solution.verdict) if verdict is None else _by_verdict(verdict, solution)


_Rule = Hard | Soft | Advantage | RelativeProgress | Scan | PosteriorRule | Agreement | Fusion | People
AnyRule = Annotated[_Rule, Field(discriminator="kind")]
RULES: dict[str, type[_Rule]] = {rule.model_fields["kind"].default: rule for rule in get_args(_Rule)}


def relabeled(row: LabeledProblem, rule: AnyRule) -> LabeledProblem:
    """Return the problem with a rule's targets and verdicts; the labeler's own verdict joins the others."""
    solutions = []
    for solution in row.solutions:
        view = rule.view(row, solution)
        others = tuple(v for v in (solution.verdict, *solution.others) if v.labeler != view.verdict.labeler)
        solutions.append(
            solution.model_copy(update={"targets": view.targets, "verdict": view.verdict, "others": others})
        )
    return row.model_copy(update={"solutions": tuple(solutions)})


def _of_people(name: str, solution: LabeledSolution) -> Verdict | None:
    """Return people's verdict in a rule's name, combined with the labelers' posteriors (``people_rule``)."""
    said = next((v for v in (solution.verdict, *solution.others) if v.labeler == "people"), None)
    return None if said is None else said.model_copy(update={"labeler": name})


def opinions(solution: LabeledSolution, of: Sequence[str]) -> list[Verdict]:
    """Return the verdicts of the named labelers, or of all but the oracle."""
    verdicts = (solution.verdict, *solution.others)
    return [v for v in verdicts if (v.labeler in of if of else v.labeler != "oracle")]


def first_loss(alive: Sequence[bool | None]) -> int | None:
    """Return the first step that is not alive; ``len(alive)`` if all are; None if the evidence does not say.

    If every step up to the loss was measured, it is the first False. If only some were, a success proves the steps
    before it, and the loss is known if it follows the last success directly.
    """
    measured = list(takewhile(lambda value: value is not None, alive))
    if False in measured:
        return measured.index(False)
    after = max((place for place, value in enumerate(alive, start=1) if value), default=0)
    return after if after == len(alive) or alive[after] is False else None


def base_rate(row: LabeledProblem) -> float | None:
    """Return the share of right ones among all samples of the bare question: V(0)."""
    root = [r for r in row.evidence if r.start is not None and r.start.steps == 0]
    return pass_rate([*row.sampled, *root])


def values_with_base(row: LabeledProblem, solution: LabeledSolution) -> list[float | None]:
    """Return V before the first step and after each."""
    return [base_rate(row), *map(_value, solution.labels)]


def _kept(before: float | None, after: float | None) -> float | None:
    if before is None or after is None or (before == 0 and after > 0):
        return None  # 0 / 0
    return min(1.0, after / before) if before else 0.0


def _value(label: StepLabel | None) -> float | None:
    if label is None or label.stopping == "fixed" or not label.trials:
        return None if label is None else label.value
    return (label.successes + 1) / (label.trials + 2)


def _by_verdict(verdict: Verdict, solution: LabeledSolution) -> View:
    steps = len(solution.rollout.steps)
    if verdict.abstained:
        return View((None,) * steps, verdict)
    error = steps if verdict.first_error is None else verdict.first_error
    return View(tuple(1.0 if i < error else 0.0 if i == error else None for i in range(steps)), verdict)


def _view(name: str, solution: LabeledSolution, targets: Sequence[float | None], lost: int | None) -> View:
    """Return targets with the verdict from where success ends: ``None`` if unknown, the number of steps if nowhere."""
    steps = solution.rollout.steps
    if solution.rollout.outcome == "undetermined" or not steps:
        verdict = abstention(name, TRUNCATED)
    elif lost is None:
        verdict = abstention(name, UNMEASURED)
    else:
        verdict = of_policy(Verdict(labeler=name, first_error=lost if lost < len(steps) else None), steps)
    return View(tuple(targets), verdict)
