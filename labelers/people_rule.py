"""People's findings as evidence: findings on single steps update the probability of where a solution goes wrong.

Step i is right if the first error comes later, and wrong if it is the first error. After a first error a step is mostly
wrong as well, since it builds on it, but it may be right by itself. With e the reviewer's rate of mistakes, "wrong" has
likelihood 1 - e if the first error is i, e if it comes later, and ``CARRIED`` if it came before.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Literal

from stepforge.labelers.evidence.prefix_index import prefix_keys
from stepforge.labelers.labeling import abstention, likeliest
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, StepClass, Verdict
from stepforge.schemas.record import Record
from stepforge.schemas.review import StepFinding
from stepforge.schemas.rollout import Rollout

MISTAKES, OF = 1, 20
"""A reviewer's error rate before any gold item: one mistake in twenty."""
WEAK_MISTAKES = 0.35
"""Error rate of usage signals (a thumb, an edit)."""
OTHERS_SHARE = 0.3
"""Weight of the other labelers' verdicts in the prior."""
CARRIED = 0.7
"""How often a step after the first error is called wrong."""
NAMED_SHARE = 0.7
"""Probability given to the verdict of a labeler without probabilities."""
REFERENCE = "people say that the reference answer is wrong"
UNSETTLED = "people's findings leave it open which step is the first wrong one"


class Reliability(Record):
    """A reviewer's error rate."""

    reviewer: str
    mistakes: float


class PeopleRule(Record):
    """People's findings combined with the labelers' posteriors; unreviewed solutions keep their labels."""

    kind: Literal["people"] = "people"
    findings: tuple[StepFinding, ...] = ()
    """Those that stand (``standing``)."""
    reliabilities: tuple[Reliability, ...] = ()

    def heard(self, row: LabeledProblem) -> LabeledProblem:
        """Return the problem with people's verdicts among the others'."""
        solutions = []
        for solution in row.solutions:
            verdict = self.verdict_on(row.problem.id, solution)
            others = solution.others if verdict is None else (*solution.others, verdict)
            solutions.append(solution.model_copy(update={"others": others}))
        return row.model_copy(update={"solutions": tuple(solutions)})

    def evidence_on(self, problem_id: str, rollout: Rollout) -> tuple[float, ...] | None:
        """Return how likely people's findings are for each first error, and for none last, up to a factor; None if
        nobody was asked about this solution, or if the reference answer is in doubt. Labelers are not included."""
        known = [one for one in self._by_problem.get(problem_id, ()) if not one.weak]
        said = counting(known, rollout)
        if not said or any(one.finding == "reference_wrong" for one in known):
            return None
        places = len(rollout.steps) + 1
        return tuple(updated([1 / places] * places, said, self._mistakes))

    @cached_property
    def _by_problem(self) -> Mapping[str, list[StepFinding]]:
        found: dict[str, list[StepFinding]] = defaultdict(list)
        for finding in self.findings:
            found[finding.problem_id].append(finding)
        return found

    @cached_property
    def _mistakes(self) -> Mapping[str, float]:
        return {one.reviewer: one.mistakes for one in self.reliabilities}

    def verdict_on(self, problem_id: str, solution: LabeledSolution) -> Verdict | None:
        """Return the verdict on a solution; None if nobody said anything that counts."""
        known = self._by_problem.get(problem_id, ())
        if any(one.finding == "reference_wrong" and not one.weak for one in known):
            return abstention(self.kind, REFERENCE)
        said = counting(known, solution.rollout)
        if not said:
            return None
        verdict = likeliest(self.kind, tuple(updated(prior(solution), said, self._mistakes)), 0.5, UNSETTLED)
        if verdict.abstained:
            return verdict
        steps = len(solution.rollout.steps)
        place = steps if verdict.first_error is None else verdict.first_error
        found = [one.finding for one in said if one.step == place]
        error: StepClass = "repaired" if found.count("repaired") > found.count("wrong") else "wrong"
        classes: list[StepClass] = [*["right"] * place, error, *["after"] * steps]  # type: ignore[list-item]
        return verdict.model_copy(update={"classes": tuple(classes[:steps])})


def counting(findings: Iterable[StepFinding], rollout: Rollout) -> list[StepFinding]:
    """Return the findings on this solution's current text: those made on a different text do not count."""
    keys = [key.hex() for key in prefix_keys(rollout.steps)]
    found = []
    for one in findings:
        place = len(rollout.steps) if one.step is None else one.step + 1
        fits = one.solution_id == rollout.id and 0 < place < len(keys) and one.text_digest in ("", keys[place])
        if fits and one.finding in ("right", "wrong", "repaired", "redundant"):
            found.append(one)
    return found


def digest_up_to(rollout: Rollout, step: int | None) -> str:
    """Return the ``text_digest`` of a finding on a step, or on all."""
    keys = list(prefix_keys(rollout.steps))
    return keys[-1 if step is None else step + 1].hex()


def standing(findings: Iterable[StepFinding]) -> list[StepFinding]:
    """Each reviewer's latest finding on each step, or only the settling one if there is one."""
    last: dict[tuple[str, str, int | None, str, bool], StepFinding] = {}
    for one in findings:
        kind = one.finding == "reference_wrong"
        place = (one.problem_id, one.solution_id, one.step, one.reviewer, kind)
        last.pop(place, None)
        last[place] = one
    settled = {_place(one) for one in last.values() if one.adjudicates and one.finding != "withdrawn"}
    return [
        one
        for one in last.values()
        if one.finding != "withdrawn" and (one.adjudicates or one.weak or _place(one) not in settled)
    ]


def _place(one: StepFinding) -> tuple[str, str, int | None]:
    return one.problem_id, one.solution_id, one.step


def prior(solution: LabeledSolution) -> list[float]:
    """Return the probability of each first error, and of none last, before any finding: the first labeler's, and the
    others' verdicts with a small weight."""
    steps = len(solution.rollout.steps)
    own = list(solution.verdict.posterior or _spread(solution.verdict, steps, solution.rollout.outcome == "correct"))
    others = [v for v in solution.others if not v.abstained and v.labeler != "oracle"]
    if not others:
        return own
    share = OTHERS_SHARE / len(others)
    mixed = [(1 - OTHERS_SHARE) * p for p in own]
    for verdict in others:
        for i, p in enumerate(verdict.posterior or _spread(verdict, steps, right=False)):
            mixed[i] += share * p
    return mixed


def _spread(verdict: Verdict, steps: int, right: bool) -> list[float]:
    if verdict.abstained:
        none = 0.75 if right else 0.02
        return [*[(1 - none) / max(1, steps)] * steps, none if steps else 1.0]
    named = steps if verdict.first_error is None else verdict.first_error
    rest = (1 - NAMED_SHARE) / max(1, steps)
    return [NAMED_SHARE if i == named else rest for i in range(steps + 1)]


def updated(belief: Sequence[float], findings: Iterable[StepFinding], mistakes: Mapping[str, float]) -> list[float]:
    """Return the posterior after some findings; ``mistakes`` are the reviewers' measured error rates."""
    now = list(belief)
    for one in findings:
        rate = WEAK_MISTAKES if one.weak else mistakes.get(one.reviewer, MISTAKES / OF)
        wrong = one.finding in ("wrong", "repaired")
        now = [p * likelihood(i, one.step, len(now) - 1, rate, wrong=wrong) for i, p in enumerate(now)]
        total = sum(now)
        now = [p / total for p in now] if total else list(belief)
    return now


def likelihood(first_error: int, step: int | None, steps: int, mistakes: float, *, wrong: bool) -> float:
    """Return the chance of a finding, given where the first error is (``steps``: nowhere)."""
    if step is None:  # on the whole solution
        is_wrong = first_error < steps
    elif first_error < step:
        return CARRIED if wrong else 1 - CARRIED
    else:
        is_wrong = first_error == step
    return 1 - mistakes if is_wrong == wrong else mistakes
