"""Controls (what a labeler must beat) and the labelers that are replayed from verdicts instead of completions."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from stepforge.labelers.consensus import Skill, agreed, fused, measured_skill
from stepforge.labelers.judge import DIVIDED
from stepforge.pipelines.bench.cases import BenchProblem, Outcome, judged
from stepforge.schemas.labeled import Cost, Verdict
from stepforge.schemas.rollout import Rollout
from stepforge.schemas.seeds import rng_of

Opinion = Callable[[BenchProblem, int], Verdict]
"""What a control says of a solution (by its index)."""


def control_outcomes(problems: Sequence[BenchProblem], opinion: Opinion, cost: Cost | None = None) -> Iterable[Outcome]:
    """Return a control's outcomes; it costs nothing unless told otherwise."""
    for index, problem in enumerate(problems):
        verdicts = [opinion(problem, i) for i in range(len(problem.row.solutions))]
        yield Outcome(index, judged(problem, verdicts), cost or Cost())


def controls(tuning: Sequence[BenchProblem], seed: int) -> dict[str, Opinion]:
    """Return every control by name; what has to be learnt is learnt from the tuning problems' truth."""
    position = _usual_position(tuning)
    by_length = {length: _usual_position(tuning, length) for length in range(1, 40)}

    def random(problem: BenchProblem, i: int) -> Verdict:
        rollout = problem.row.solutions[i].rollout
        return _of_wrong("random", rollout, rng_of(seed, rollout.id).randrange(max(1, len(rollout.steps))))

    return {
        "control: random step": random,
        "control: position prior": lambda problem, i: _of_wrong(
            "position prior", _rollout(problem, i), min(position, len(_rollout(problem, i).steps) - 1)
        ),
        "control: question only": lambda problem, i: _of_wrong(
            "question only", _rollout(problem, i), by_length.get(len(_rollout(problem, i).steps), position)
        ),
        "control: leaves right siblings": lambda problem, i: _of_wrong(
            "leaves right siblings", _rollout(problem, i), _departure(problem, i)
        ),
        "control: least expected token": lambda problem, i: _of_wrong(
            "least expected token", _rollout(problem, i), _least_expected(_rollout(problem, i))
        ),
        "control: outcome only": lambda problem, i: _of_wrong("outcome only", _rollout(problem, i), 0),
        "control: perfect oracle": lambda problem, i: problem.truths[i],
    }


def judge_votes(problem: BenchProblem, i: int, votes: int, seed: int) -> Verdict:
    """Return the judge's verdict from some of its recorded votes, drawn without replacement."""
    recorded = recorded_judge(problem, i)
    if recorded.posterior is None:
        return recorded
    total = len(problem.row.solutions[i].rollout.steps) + 1
    cast = [at for at, share in enumerate(recorded.posterior) for _ in range(round(share * RECORDED_VOTES))]
    rng = rng_of(seed, "votes", problem.row.solutions[i].rollout.id)
    drawn = Counter(rng.sample(cast, min(votes, len(cast))))
    (winner, count), *others = drawn.most_common()
    shares = tuple(drawn[at] / sum(drawn.values()) for at in range(total))
    if others and others[0][1] == count:
        return Verdict(labeler="judge", first_error=None, abstained=True, reason=DIVIDED, posterior=shares)
    return Verdict(labeler="judge", first_error=None if winner == total - 1 else winner, posterior=shares)


RECORDED_VOTES = 6
"""Votes that the recording asks for; shares are turned back into counts with it."""


def recorded_judge(problem: BenchProblem, i: int) -> Verdict:
    """Return the judge's verdict as recorded."""
    return next(v for v in problem.row.solutions[i].others if v.labeler == "judge")


def judge_cost(problem: BenchProblem, votes: int) -> Cost:
    """Return the share of the recorded judge's cost that so many votes take."""
    whole = next(entry.cost for entry in problem.row.costs if entry.labeler == "judge")
    share = votes / RECORDED_VOTES
    return Cost(
        rollouts=round(whole.rollouts * share),
        generated_tokens=round(whole.generated_tokens * share),
        prompt_tokens=round(whole.prompt_tokens * share),
        cached_prompt_tokens=round(whole.cached_prompt_tokens * share),
    )


def judge_outcomes(problems: Sequence[BenchProblem], votes: int, seed: int) -> Iterable[Outcome]:
    """Return the judge's outcomes with so many votes a solution."""
    for index, problem in enumerate(problems):
        verdicts = [judge_votes(problem, i, votes, seed) for i in range(len(problem.row.solutions))]
        yield Outcome(index, judged(problem, verdicts), judge_cost(problem, votes))


def agreement_outcomes(name: str, first: Sequence[Outcome], second: Sequence[Outcome]) -> Iterable[Outcome]:
    """Return where two labelers agree; both are paid for."""
    for a, b in zip(first, second, strict=True):
        both = zip(a.judged, b.judged, strict=True)
        yield Outcome(
            a.problem,
            tuple(x._replace(verdict=agreed(name, [x.verdict, y.verdict])) for x, y in both),
            a.cost + b.cost,
        )


def skills_of(outcomes: Sequence[Outcome], problems: Sequence[BenchProblem], name: str) -> Skill:
    """Return a labeler's error rates on the tuning problems."""
    tuning = [o for o in outcomes if "tuning" in problems[o.problem].slices]
    return measured_skill(name, [(j.verdict, j.truth.first_error) for o in tuning for j in o.judged])


def fusion_outcomes(
    name: str, parts: Sequence[Sequence[Outcome]], names: Sequence[str], problems: Sequence[BenchProblem]
) -> Iterable[Outcome]:
    """Return the verdicts of several labelers fused by their error rates on the tuning problems."""
    skills = {n: skills_of(outcomes, problems, n) for n, outcomes in zip(names, parts, strict=True)}
    for together in zip(*parts, strict=True):
        merged = []
        for judgements in zip(*(o.judged for o in together), strict=True):
            verdicts = [j.verdict.model_copy(update={"labeler": n}) for j, n in zip(judgements, names, strict=True)]
            steps = len(judgements[0].truth.classes or ())
            merged.append(judgements[0]._replace(verdict=fused(name, verdicts, skills, steps)))
        yield Outcome(together[0].problem, tuple(merged), sum((o.cost for o in together), Cost()))


def _rollout(problem: BenchProblem, i: int) -> Rollout:
    return problem.row.solutions[i].rollout


def _of_wrong(name: str, rollout: Rollout, error: int) -> Verdict:
    """Controls believe right answers, as all labelers by outcome do."""
    return Verdict(labeler=name, first_error=error if rollout.outcome == "wrong" else None)


def _departure(problem: BenchProblem, i: int) -> int:
    """Return the step at which a solution leaves every right solution of its problem."""
    own = [step.text for step in _rollout(problem, i).steps]
    shared = 0
    for solution in problem.row.solutions:
        if solution.rollout.outcome == "correct":
            other = [step.text for step in solution.rollout.steps]
            same = next((k for k, (a, b) in enumerate(zip(own, other, strict=False)) if a != b), len(own))
            shared = max(shared, same)
    return min(shared, max(0, len(own) - 1))


def _least_expected(rollout: Rollout) -> int:
    """Return the step with the token that its own policy expected least."""
    known = [step.lowest_logprob if step.lowest_logprob is not None else 0.0 for step in rollout.steps]
    return known.index(min(known)) if known else 0


def _usual_position(problems: Sequence[BenchProblem], length: int | None = None) -> int:
    """Return the commonest first error of wrong solutions, of a certain number of steps."""
    found = Counter(
        truth.first_error
        for problem in problems
        for solution, truth in zip(problem.row.solutions, problem.truths, strict=True)
        if truth.first_error is not None
        and solution.rollout.outcome == "wrong"
        and (length is None or len(solution.rollout.steps) == length)
    )
    return found.most_common(1)[0][0] if found else 0
