"""A problem as people see it: solutions step by step with counts, posteriors, verdicts and the truth, in words."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from stepforge.labelers.oracle import oracle_verdict
from stepforge.pipelines.reports.people import people_verdict
from stepforge.pipelines.run_folder.failures import Loss
from stepforge.pipelines.run_folder.rows import Row
from stepforge.pipelines.terminal.tables import table
from stepforge.schemas.labeled import LabeledSolution, StepLabel, Verdict
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Repair, Rollout, SolvedProblem, Step

WRONG, REPAIRED = "first wrong step", "repaired later"
COLUMNS = {
    "first wrong step here": "wrong here",
    "chance of a right answer": "V",
    "completions": "completions",
    "oracle": "oracle",
    "people": "people",
}
"""Facts about steps that are shown as text, and their short names."""


class StepView(NamedTuple):
    number: int
    """From 1, as in all text for people."""
    text: str
    tone: int | None
    """0 (certainly wrong) to 10 (certainly right up to here); None if unknown."""
    mark: str
    """The labeler's verdict on it: ``WRONG``, ``REPAIRED``, ``after it``, or nothing."""
    facts: tuple[tuple[str, str], ...]
    """Name and value of everything known about it."""
    author: str

    @property
    def erring(self) -> bool:
        return self.mark in (WRONG, REPAIRED)


class SolutionView(NamedTuple):
    id: str
    ending: str
    outcome: str
    steps: tuple[StepView, ...]
    opinions: tuple[tuple[str, str], ...]
    """Labeler or person, and their verdict on the solution."""
    repair: Repair | None
    """The policy's next attempt after learning that this one is wrong."""


class ProblemView(NamedTuple):
    problem: Problem
    solutions: tuple[SolutionView, ...]
    loss: str
    costs: tuple[str, ...]
    policy: str


def view_of(row: Row, lost: Mapping[str, Loss]) -> ProblemView:
    """``lost``: why problems did not go through all stages, by id."""
    loss = str(lost.get(row.id if isinstance(row, Problem) else row.problem.id, ""))
    if isinstance(row, Problem):
        return ProblemView(row, (), loss, (), "")
    if isinstance(row, SolvedProblem):
        plain = tuple(_view(r, [_plain(i, step) for i, step in enumerate(r.steps, 1)]) for r in row.rollouts)
        return ProblemView(row.problem, plain, loss, (), row.policy.model)
    costs = tuple(
        f"{c.labeler}: {c.cost.rollouts} completions, {c.cost.generated_tokens} generated tokens" for c in row.costs
    )
    solutions = tuple(solution_view(row.problem, solution) for solution in row.solutions)
    return ProblemView(row.problem, solutions, loss, costs, row.policy.model)


def _plain(number: int, step: Step) -> StepView:
    return StepView(number, step.text, None, "", (), step.author)


def solution_view(problem: Problem, solution: LabeledSolution) -> SolutionView:
    truth, people = oracle_verdict(problem, solution.rollout), people_verdict(solution.rollout)
    beliefs = solution.right_so_far
    steps = []
    for i, step in enumerate(solution.rollout.steps):
        facts = [*_facts(solution.labels[i]), *_said(i, solution, truth, people)]
        if beliefs[i] is not None:
            facts.insert(0, ("right up to here", percent(beliefs[i])))
        if i < len(solution.rollout.scores):
            facts.append(("scorer: right", percent(solution.rollout.scores[i])))
        tone = None if (p := beliefs[i]) is None or step.author == "tool" else round(10 * p)
        steps.append(StepView(i + 1, step.text, tone, _mark(i, solution.verdict), tuple(facts), step.author))
    verdicts = [*solution.verdicts, *([truth] if truth.classes else []), *([people] if people else [])]
    return _view(solution.rollout, steps, [(v.labeler, opinion(v)) for v in verdicts])


def ending(rollout: Rollout) -> str:
    answer = "no answer" if rollout.answer is None else f"answer {rollout.answer}"
    return f"{answer}{', cut off at the token limit' if rollout.truncated else ''}"


def _view(rollout: Rollout, steps: Iterable[StepView], opinions: Iterable[tuple[str, str]] = ()) -> SolutionView:
    return SolutionView(rollout.id, ending(rollout), rollout.outcome, tuple(steps), tuple(opinions), rollout.repair)


def percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def opinion(verdict: Verdict) -> str:
    if verdict.abstained:
        return f"abstains ({verdict.reason})" if verdict.reason else "abstains"
    said = "no wrong step" if verdict.first_error is None else f"step {verdict.first_error + 1} is the first wrong one"
    place = -1 if verdict.first_error is None else verdict.first_error
    sure = f", {percent(verdict.posterior[place])} sure" if verdict.posterior else ""
    return f"{said}{sure}{f': {verdict.critique}' if verdict.critique else ''}"


def _mark(step: int, verdict: Verdict) -> str:
    if verdict.first_error == step:
        return REPAIRED if verdict.classes and verdict.classes[step] == "repaired" else WRONG
    return "after it" if verdict.first_error is not None and step > verdict.first_error else ""


def _facts(label: StepLabel | None) -> list[tuple[str, str]]:
    if label is None:
        return [("completions", "not measured")]
    facts = []
    if label.belief is not None:
        b = label.belief
        facts = [
            ("first wrong step here", percent(b.p_error)),
            ("chance of a right answer", f"{b.value:.2f} (90 % interval {b.low:.2f} to {b.high:.2f})"),
        ]
    if label.interval is None:
        return [*facts, ("completions", "none with a verdict")]
    low, high = label.interval
    drawn = "" if label.stopping == "fixed" else ", stopped adaptively"
    unknown = f", {label.undetermined} without a verdict" if label.undetermined else ""
    counted = f"{label.successes} of {label.trials} right, {low:.2f} to {high:.2f} (95 % interval{drawn}{unknown})"
    return [*facts, ("completions", counted)]


def _said(i: int, solution: LabeledSolution, truth: Verdict, people: Verdict | None) -> list[tuple[str, str]]:
    facts = [(v.labeler, WRONG) for v in solution.verdicts if v.first_error == i]
    if truth.classes:
        facts.append(("oracle", truth.classes[i]))
    if people is not None and people.classes and people.classes[i] != "unknown":
        facts.append(("people", people.classes[i]))
    if i < len(solution.targets) and solution.targets[i] is not None:
        facts.append(("training target", f"{solution.targets[i]:.2f}"))
    return facts


def solution_text(solution: SolutionView) -> str:
    """Return a row for each step, with the facts that are known of any; their long forms are in the viewer."""
    facts = [{name: value.partition(" (")[0] for name, value in step.facts} for step in solution.steps]
    shown = [name for name in COLUMNS if any(name in known for known in facts)]
    rows = [
        (
            f"{'>' if step.erring else ' '} {step.number:2}",
            *(known.get(name, "") for name in shown),
            f"{'(tool) ' if step.author == 'tool' else ''}{step.text.rstrip()}",
        )
        for step, known in zip(solution.steps, facts, strict=True)
    ]
    lines = [f"solution {solution.id}: {solution.outcome}, {solution.ending}"]
    lines.append(table(("step", *(COLUMNS[name] for name in shown), "text"), rows))
    return "\n".join([*lines, *(f"  {who}: {what}" for who, what in solution.opinions)])
