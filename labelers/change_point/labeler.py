"""``change_point``: the first error as a change point in V, found by asking where an answer tells most per token.

Keeps the posterior of ``change_point.model`` and asks one prefix at a time, as in probabilistic bisection (Waeber,
Frazier, Henderson 2013). Three things are free and used first: the log-probabilities of the solution's own tokens
(a step the policy itself found unlikely is suspect), the solutions sampled from the question (the base rate), and
every rollout that happens to go through a prefix, whatever it was drawn for. Stops when the posterior is sure, when
the budget is gone, or when no answer is worth its tokens; abstains where the posterior is not sure enough.

Solutions with a right answer are judged from what is free: completions cannot see a step that did no harm.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from pydantic import Field

from stepforge.labelers.change_point.model import Observed, Posterior, information, posterior
from stepforge.labelers.change_point.observations import see, seen_in
from stepforge.labelers.change_point.pooling import measured_rates, pooled_rates
from stepforge.labelers.change_point.rates import Rates
from stepforge.labelers.change_point.values import value_and_interval
from stepforge.labelers.evidence.store import QUESTION, Evidence, Trajectory, solution_trajectory
from stepforge.labelers.labeling import TRUNCATED, labeled_problem, labels_of
from stepforge.labelers.oracle import oracle_verdict
from stepforge.schemas.labeled import Belief, LabeledProblem, StepClass, StepLabel, Verdict
from stepforge.schemas.protocols import Grader, Policy
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Rollout, SolvedProblem

UNSURE = "no step is likely enough to be the first error"


class ChangePoint(Record):
    """Bayesian search for the first error."""

    kind: Literal["change_point"] = "change_point"
    stop: float = Field(default=0.95, gt=0.5, lt=1)
    """Posterior probability of one first error at which the search ends."""
    budget: int = Field(default=24, ge=0)
    """Most completions for a solution."""
    batch: int = Field(default=2, ge=1)
    """Completions asked for at a time: more hide latency and cost a little."""
    least_information: float = Field(default=0.0005, ge=0)
    """Nats of information on the first error, a generated token, below which a question is not worth asking."""
    sure: float = Field(default=0.5, ge=0, lt=1)
    """Posterior probability below which it abstains."""
    surprise: bool = True
    """Whether the log-probabilities of the solution's own tokens count."""
    passing: bool = True
    """Whether rollouts drawn for something else count at the prefixes they go through."""
    rates: Rates = Rates()
    pilot: int = Field(default=48, ge=0)
    """Problems of a run that are labelled under ``rates``, so that the run's own can be pooled from them; 0: none."""

    @property
    def model(self) -> Rates:
        """The rates as the model needs them: completions counted where they start may write any next step."""
        return self.rates if self.passing else self.rates.model_copy(update={"detour": 1.0})

    @property
    def name(self) -> str:
        """How reports call it."""
        return self.kind

    async def __call__(self, solved: SolvedProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        """Label the solutions of a problem, one after the other: each learns from those before it."""
        evidence = Evidence(solved, policy, grader, seed)
        if not evidence.root:
            await evidence.measure(QUESTION, 0, min(4, self.budget))
        for rollout in solved.rollouts:
            if rollout.outcome == "wrong" and rollout.steps:
                await self._search(solution_trajectory(rollout), evidence)
        return self.conclude(solved, evidence)

    def with_rates(self, rates: Record) -> "ChangePoint":
        """Return the labeler under other rates."""
        return self.model_copy(update={"rates": rates})

    def fitted_rates(self, rows: Sequence[LabeledProblem]) -> Rates:
        """Return rates pooled from labeled problems; how far to trust them comes from those with a known truth."""
        by_row = [(row, seen_in(row, passing=self.passing)) for row in rows]
        seen = [s for _, found in by_row for s in found]
        if not seen:
            return self.rates
        rates = pooled_rates(seen, self.rates, surprise=self.surprise, passing=self.passing)
        model = self.model_copy(update={"rates": rates}).model
        cases = [
            (s.observed(model, surprise=self.surprise), truth)
            for row, found in by_row
            if row.problem.truth is not None
            for s, truth in zip(found, _truths(row), strict=True)
        ]
        if len(cases) < LEAST_CASES:
            return rates
        return measured_rates(cases, model)

    def conclude(self, solved: SolvedProblem, evidence: Evidence) -> LabeledProblem:
        """Return the verdicts and beliefs that follow from evidence; nothing is sampled."""
        verdicts, labels = [], []
        for rollout in solved.rollouts:
            path = solution_trajectory(rollout)
            if rollout.outcome == "undetermined" or not rollout.steps:
                verdicts.append(Verdict(labeler=self.name, first_error=None, abstained=True, reason=TRUNCATED))
                labels.append(labels_of(path, evidence))
                continue
            seen = self.observed(path, evidence)
            belief = posterior(seen, self.model)
            verdicts.append(self.verdict(belief))
            labels.append(self._labels(path, evidence, seen, belief))
        labeled = labeled_problem(self.name, solved, verdicts, evidence)
        pairs = zip(labeled.solutions, labels, strict=True)
        solutions = tuple(solution.model_copy(update={"labels": known}) for solution, known in pairs)
        return labeled.model_copy(update={"solutions": solutions})

    def _labels(self, path: Trajectory, evidence: Evidence, seen: Observed, belief: Posterior) -> tuple[StepLabel, ...]:
        """Return a label for every step: what was counted, and what is believed."""
        last = len(path.steps)
        labels = []
        for count, known in enumerate(labels_of(path, evidence), 1):
            if count == last:
                mean = low = high = float(path.outcome == "correct")
            else:
                mean, low, high = value_and_interval(seen, self.model, belief, count)
            held = Belief(value=mean, low=low, high=high, p_error=belief.first_error[count - 1])
            label = known or StepLabel(successes=0, failures=0, stopping="adaptive")
            labels.append(label.model_copy(update={"belief": held}))
        return tuple(labels)

    async def _search(self, path: Trajectory, evidence: Evidence) -> None:
        """Ask until the posterior is sure, the budget is gone, or nothing is worth asking."""
        spent = 0
        while spent < self.budget:
            belief = self.believe(path, evidence)
            if max(belief.first_error) >= self.stop:
                return
            question = self.best_question(path, belief)
            if question is None:
                return
            n = min(self.batch, self.budget - spent)
            await evidence.more(path, question, n)
            spent += n

    def believe(self, path: Trajectory, evidence: Evidence) -> Posterior:
        """Return the posterior of one solution from all that is known."""
        return posterior(self.observed(path, evidence), self.model)

    def believe_stored(self, rollout: Rollout, evidence: Evidence) -> Posterior:
        """Return the posterior of a solution from evidence that was stored."""
        return self.believe(solution_trajectory(rollout), evidence)

    def observed(self, path: Trajectory, evidence: Evidence) -> Observed:
        """Return what the model is given of one solution."""
        return see(path, evidence, passing=self.passing).observed(self.model, surprise=self.surprise)

    def best_question(self, path: Trajectory, belief: Posterior) -> int | None:
        """Return the prefix whose next completion tells most per token, or None if none is worth it."""
        best: _Offer | None = None
        for count in range(1, len(path.steps)):
            tokens = max(1, sum(len(step.token_ids) or len(step.text) for step in path.steps[count:]))
            offer = _Offer(information(belief, count) / tokens, count)
            best = offer if best is None or offer.worth > best.worth else best
        return None if best is None or best.worth < self.least_information else best.steps

    def verdict(self, belief: Posterior | None) -> Verdict:
        """Return the likeliest first error, or an abstention."""
        if belief is None:
            return Verdict(labeler=self.name, first_error=None, abstained=True, reason=TRUNCATED)
        likeliest = max(range(len(belief.first_error)), key=belief.first_error.__getitem__)
        if belief.first_error[likeliest] < self.sure:
            return Verdict(
                labeler=self.name, first_error=None, abstained=True, reason=UNSURE, posterior=belief.first_error
            )
        no_error = likeliest == len(belief.first_error) - 1
        return Verdict(
            labeler=self.name,
            first_error=None if no_error else likeliest,
            posterior=belief.first_error,
            classes=classes_of(belief, likeliest),
        )


def classes_of(belief: Posterior, first_error: int) -> tuple[StepClass, ...]:
    """Return a class for each step, given the first error: fatal where the solution is likelier lost there than not."""
    steps = len(belief.first_error) - 1
    row = belief.joint[first_error]
    fatal = row[first_error] >= sum(row) / 2
    classes: list[StepClass] = ["right"] * first_error
    if first_error < steps:
        classes += ["wrong" if fatal else "repaired", *["after"] * (steps - first_error - 1)]  # type: ignore[list-item]
    return tuple(classes)


class _Offer(NamedTuple):
    worth: float
    """Nats per generated token."""
    steps: int
    """Steps of the prefix to ask."""


LEAST_CASES = 40
"""Solutions with a known truth below which nothing is learnt from them."""


def _truths(row: LabeledProblem) -> list[int | None]:
    """Return the first errors of the solutions that ``seen_in`` looks at, in its order."""
    known = [s.rollout for s in row.solutions if s.rollout.outcome != "undetermined" and s.rollout.steps]
    return [oracle_verdict(row.problem, rollout).first_error for rollout in known]
