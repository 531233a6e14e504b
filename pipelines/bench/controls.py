"""Controls: what a labeler must beat. None uses completions; learned parts come from other families."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from stepforge.grading.stated import numbers_in
from stepforge.labelers.evidence.replay import completions_by_prefix
from stepforge.pipelines.bench.cases import BenchProblem, Outcome, judged
from stepforge.schemas.labeled import Cost, Verdict
from stepforge.schemas.rollout import Rollout
from stepforge.schemas.seeds import rng_of

Opinion = Callable[[BenchProblem, Rollout], int]
"""Which step of a wrong solution a control names."""


def control_outcomes(problems: Sequence[BenchProblem], name: str, opinion: Opinion) -> Iterator[Outcome]:
    """Return a control's outcomes; like all outcome-based labelers, it trusts right answers."""
    for problem in problems:
        rollouts = [solution.rollout for solution in problem.row.solutions]
        named = [opinion(problem, r) if r.outcome == "wrong" and r.steps else None for r in rollouts]
        yield Outcome(judged(problem, [Verdict(labeler=name, first_error=error) for error in named]), Cost())


def controls(problems: Sequence[BenchProblem], seed: int) -> dict[str, Opinion]:
    usual = {
        family: _usual_position([p for p in problems if p.family != family]) for family in {p.family for p in problems}
    }

    def random(problem: BenchProblem, rollout: Rollout) -> int:
        return rng_of(seed, rollout.id).randrange(len(rollout.steps))

    return {
        "control: random step": random,
        "control: position prior": lambda problem, r: min(usual[problem.family], len(r.steps) - 1),
        "control: leaves right siblings": _departure,
        "control: number that no right solution states": _own_number,
        "control: least expected token": lambda _, r: _lowest([step.lowest_logprob for step in r.steps]),
        "control: least expected step": lambda _, r: _lowest([step.logprob for step in r.steps]),
        "control: highest entropy": _uncertain,
    }


def _departure(problem: BenchProblem, rollout: Rollout) -> int:
    """Return the step at which a solution diverges from every right solution of its problem."""
    own = [step.text for step in rollout.steps]
    shared = 0
    for solution in problem.row.solutions:
        if solution.rollout.outcome == "correct":
            other = [step.text for step in solution.rollout.steps]
            same = next((k for k, (a, b) in enumerate(zip(own, other, strict=False)) if a != b), len(own))
            shared = max(shared, same)
    return min(shared, len(own) - 1)


def _own_number(problem: BenchProblem, rollout: Rollout) -> int:
    """Return the first step with a number that is in neither the question nor a right solution; else the last."""
    right = [s.rollout.steps for s in problem.row.solutions if s.rollout.outcome == "correct"]
    texts = (problem.row.problem.question, *(step.text for steps in right for step in steps))
    known = frozenset[str]().union(*map(numbers_in, texts))
    alone = (index for index, step in enumerate(rollout.steps) if not numbers_in(step.text) <= known)
    return next(alone, len(rollout.steps) - 1)


def _lowest(logprobs: Sequence[float | None]) -> int:
    known = [0.0 if logprob is None else logprob for logprob in logprobs]
    return known.index(min(known))


def _uncertain(problem: BenchProblem, rollout: Rollout) -> int:
    """Return the step before which the policy was least certain, per token of what its completions wrote there.

    An engine that reports entropies gives this for free, so nothing is charged.
    """
    recorded = completions_by_prefix(problem.row)
    text, entropies = "", []
    for step in rollout.steps:
        written = [r.steps[0] for r in recorded.get(text, []) if r.steps]
        tokens = sum(len(one.token_ids) for one in written)
        entropies.append(sum(one.logprob or 0.0 for one in written) / max(1, tokens))
        text += step.text
    return entropies.index(min(entropies))


def _usual_position(problems: Sequence[BenchProblem]) -> int:
    found = Counter(
        truth.first_error
        for problem in problems
        for solution, truth in zip(problem.row.solutions, problem.truths, strict=True)
        if truth.first_error is not None and solution.rollout.outcome == "wrong"
    )
    return found.most_common(1)[0][0] if found else 0
