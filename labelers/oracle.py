"""The oracle: the truth of procedural problems, judged line by line without a model.

In plain wording a line is ``name = expression = value``; in free wording it is read by ``labelers.explained``.
Deductions are judged by Z3 (``labelers.deductions``) and moves (``fill A: 5 0``) by a simulator. A needless
calculator call is wrong, and a tool's answer belongs to the call.

A line is wrong if the quantity it names does not exist, if its value is not the true one, or if its own equation does
not hold. A wrong line is *repaired* if a later line of the same solution states that quantity correctly. Known limit: a
line that reaches the true value through wrong operands whose equation holds counts as right. Used only for audits; no
labeler takes it as evidence.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from stepforge.grading.calls import needless, without_marks
from stepforge.grading.exact import ExactError, evaluate
from stepforge.grading.puzzle import TooLarge
from stepforge.grading.puzzles import read_puzzle
from stepforge.grading.statement import ANSWER, Claim, read_claim
from stepforge.labelers.deductions import MISSING, judge_deductions, z3_is_there
from stepforge.labelers.explained import Held, Judged, judge_equations, judge_line, known
from stepforge.labelers.labeling import LabelPart, abstention, labeled_problem
from stepforge.schemas.labeled import LabeledProblem, StepClass, Verdict
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Grader, Policy
from stepforge.schemas.rollout import Rollout, SolvedProblem, Step

NO_TRUTH = "the problem has no known truth"


class Oracle(LabelPart):
    """Labels from the truth of a procedural problem; abstains on any other."""

    completes = False
    kind: Literal["oracle"] = "oracle"

    async def __call__(self, solved: SolvedProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        verdicts = [oracle_verdict(solved.problem, rollout) for rollout in solved.rollouts]
        return labeled_problem(self.name, solved, verdicts, None)


def oracle_verdict(problem: Problem, rollout: Rollout) -> Verdict:
    """Return the first wrong step (ProcessBench's definition) and the class of every step."""
    if problem.truth is None:
        return abstention("oracle", NO_TRUTH)
    if problem.truth.reading == "deductions" and not z3_is_there():
        return abstention("oracle", MISSING)
    classes = judge(problem, rollout.steps)
    errors = [i for i, step in enumerate(classes) if step in ("wrong", "repaired")]
    return Verdict(labeler="oracle", first_error=errors[0] if errors else None, classes=classes)


def first_fatal(verdict: Verdict) -> int | None:
    """Return the first step that is wrong and never repaired, or None."""
    return next((i for i, step in enumerate(verdict.classes or ()) if step == "wrong"), None)


def judge(problem: Problem, steps: tuple[Step, ...]) -> tuple[StepClass, ...]:
    """Return a class for each step; a line belongs to the step in which it ends."""
    judged = _judged(problem, steps)
    last_right = {line.subject: i for i, (_, line) in enumerate(judged) if line.found == "right" and line.subject}
    last_repair = max((i for i, (_, line) in enumerate(judged) if line.found == "right" and line.repairs), default=-1)
    classes: list[StepClass] = ["right" if step.author == "tool" else "unknown" for step in steps]
    rank = {"unknown": 0, "right": 1, "repaired": 2, "wrong": 3}
    for i, (step, line) in enumerate(judged):
        stated_again = -1 if line.subject is None else last_right.get(line.subject, -1)
        repaired = line.found == "wrong" and max(stated_again, last_repair) > i
        found: StepClass = "repaired" if repaired else line.found
        if rank[found] > rank[classes[step]]:
            classes[step] = found
    return tuple(classes)


def _judged(problem: Problem, steps: tuple[Step, ...]) -> list[tuple[int, Judged]]:
    reading = "lines" if problem.truth is None else problem.truth.reading
    if reading in ("lines", "calls"):
        return _judged_claims(problem, steps)
    if reading == "deductions":
        return judge_deductions(problem, _lines(steps))
    if reading == "moves":
        return _judged_moves(problem, _lines(steps))
    if reading == "equations":
        held = Held(problem)
        return [(step, judge_equations(line, held)) for step, line in _lines(steps)]
    facts = known(problem)
    return [(step, judge_line(line, facts)) for step, line in _lines(steps)]


def _judged_claims(problem: Problem, steps: tuple[Step, ...]) -> list[tuple[int, Judged]]:
    values = {q.name: q.value for q in problem.truth.quantities} if problem.truth else {}
    values |= {} if problem.answer is None else {ANSWER: problem.answer}
    calls = problem.truth is not None and problem.truth.reading == "calls"
    judged = []
    for step, line in _lines(steps):
        claim = read_claim(without_marks(line) if calls else line)
        if claim is not None:
            right = _holds(claim, values) and not (calls and needless(line))
            judged.append((step, Judged("right" if right else "wrong", claim.name)))
    return judged


def _judged_moves(problem: Problem, lines: Iterable[tuple[int, str]]) -> list[tuple[int, Judged]]:
    """Judge each line that makes a move, and the state after it, or gives the plan.

    A move is wrong if it is illegal, if the state after it is not the one stated, or if the goal is then out of reach
    in the remaining moves. A detour is right.
    """
    puzzle = read_puzzle(problem.question)
    if puzzle is None:
        return []
    judged, state, made = [], puzzle.start, 0
    for step, line in lines:
        move, colon, told = (part.strip() for part in line.partition(":"))
        if not colon:
            continue
        if move == ANSWER:
            reached = puzzle.reaches_goal([part.strip() for part in told.split(",")])
            judged.append((step, Judged("right" if reached else "wrong")))
            continue
        try:
            worth = puzzle.classify(state, move, made)
        except TooLarge:
            return []
        after = puzzle.after(state, move)
        if after is not None:
            state, made = after, made + 1
        right = worth in ("optimal", "detour") and told == puzzle.told(state)
        judged.append((step, Judged("right" if right else "wrong")))
    return judged


def _lines(steps: tuple[Step, ...]) -> Iterator[tuple[int, str]]:
    """Yield (step, line) for every line; a tool's answer ends a line of the previous step."""
    line, owner = "", 0
    for index, step in enumerate(steps):
        owner = index if step.author == "policy" else owner
        *complete, rest = step.text.split("\n")
        for part in complete:
            yield owner, line + part
            line = ""
        line += rest
    if steps:
        yield owner, line


def _holds(claim: Claim, known: dict[str, str]) -> bool:
    """Whether the quantity exists and every side of the equation is its true value."""
    if claim.name not in known:
        return False
    try:
        value = evaluate(known[claim.name])
        return all(evaluate(side) == value for side in claim.sides)
    except ExactError:
        return False
