"""The oracle: the truth of procedural problems, judged line by line without a model.

A line is wrong if the quantity it names does not exist, if its value is not the true one, or if its own equation
does not hold. A wrong line is *repaired* if a later line of the same solution states that quantity rightly. Known
limit: a line that reaches the true value through wrong operands whose equation holds is taken as right.

Used for audits alone; no labeler takes it as evidence.
"""

from typing import Literal

from stepforge.grading.exact import ExactError, evaluate
from stepforge.grading.statement import ANSWER, Claim, read_claim
from stepforge.labelers.labeling import labeled_problem
from stepforge.schemas.labeled import LabeledProblem, StepClass, Verdict
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Grader, Policy
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Rollout, SolvedProblem, Step

NO_TRUTH = "the problem carries no truth"


class Oracle(Record):
    """Labels by the truth of a procedural problem; abstains on any other."""

    kind: Literal["oracle"] = "oracle"

    @property
    def name(self) -> str:
        """How reports call it."""
        return self.kind

    async def __call__(self, solved: SolvedProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        """Judge every solution; nothing is sampled."""
        verdicts = [oracle_verdict(solved.problem, rollout) for rollout in solved.rollouts]
        return labeled_problem(self.name, solved, verdicts, None)


def oracle_verdict(problem: Problem, rollout: Rollout) -> Verdict:
    """Return the first wrong step (ProcessBench's definition) and the class of every step."""
    if problem.truth is None:
        return Verdict(labeler="oracle", first_error=None, abstained=True, reason=NO_TRUTH)
    classes = judge(problem, rollout.steps)
    errors = [i for i, step in enumerate(classes) if step in ("wrong", "repaired")]
    return Verdict(labeler="oracle", first_error=errors[0] if errors else None, classes=classes)


def first_fatal(verdict: Verdict) -> int | None:
    """Return the first step that is wrong and never repaired, or None."""
    return next((i for i, step in enumerate(verdict.classes or ()) if step == "wrong"), None)


def judge(problem: Problem, steps: tuple[Step, ...]) -> tuple[StepClass, ...]:
    """Return a class for each step; a line belongs to the step in which it ends."""
    claims = _claims(steps)
    known = _known_values(problem)
    right = [_holds(claim, known) for _, claim in claims]
    last_right = {claim.name: i for i, (_, claim) in enumerate(claims) if right[i]}
    classes: list[StepClass] = ["unknown"] * len(steps)
    rank = {"unknown": 0, "right": 1, "repaired": 2, "wrong": 3}
    for i, (step, claim) in enumerate(claims):
        found: StepClass = "right" if right[i] else "repaired" if last_right.get(claim.name, -1) > i else "wrong"
        if rank[found] > rank[classes[step]]:
            classes[step] = found
    return tuple(classes)


def _claims(steps: tuple[Step, ...]) -> list[tuple[int, Claim]]:
    """Return (step, claim) for every line that makes a claim."""
    claims: list[tuple[int, Claim]] = []
    line = ""
    for index, step in enumerate(steps):
        *complete, rest = step.text.split("\n")
        for part in complete:
            _append(claims, index, line + part)
            line = ""
        line += rest
    if steps:
        _append(claims, len(steps) - 1, line)
    return claims


def _append(claims: list[tuple[int, Claim]], step: int, line: str) -> None:
    claim = read_claim(line)
    if claim is not None:
        claims.append((step, claim))


def _known_values(problem: Problem) -> dict[str, str]:
    known = {q.name: q.value for q in problem.truth.quantities} if problem.truth else {}
    if problem.answer is not None:
        known[ANSWER] = problem.answer
    return known


def _holds(claim: Claim, known: dict[str, str]) -> bool:
    """Whether the quantity exists and every side of the equation is its true value."""
    if claim.name not in known:
        return False
    try:
        value = evaluate(known[claim.name])
        return all(evaluate(side) == value for side in claim.sides)
    except ExactError:
        return False
