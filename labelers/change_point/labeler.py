"""``change_point``: the first error as a change point in V, found by asking where an answer tells most for its cost.

Keeps the posterior of ``change_point.model`` and asks one prefix at a time, as in probabilistic bisection (Waeber,
Frazier, Henderson 2013). Four things are free and used first: the log-probabilities of the solution's own steps, what
they state, the solutions sampled from the question, and every rollout that happens to go through a prefix. Asks at
least once, so that no label of a wrong answer rests on what is free alone; then until the posterior is sure, the budget
is gone, or no answer is worth its tokens. Abstains where the posterior is not sure enough.

Solutions with a right answer are judged from what is free: V does not fall at their wrong steps, so no completion is
asked for.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import AliasChoices, Field

from stepforge.labelers.change_point.check import contradicted
from stepforge.labelers.change_point.model import LOST, REPAIRED, Observed, Posterior, information, posterior
from stepforge.labelers.change_point.observations import Signals, has_verdict, observe, observed_in, share_left
from stepforge.labelers.change_point.pooling import pooled_rates
from stepforge.labelers.change_point.rates import Rates
from stepforge.labelers.change_point.values import value_and_interval
from stepforge.labelers.evidence.store import QUESTION, Evidence, Trajectory, solution_trajectory
from stepforge.labelers.labeling import TRUNCATED, LabelPart, labeled_problem, labels_of, of_policy
from stepforge.labelers.reward_model import UNSURE, Calibration
from stepforge.labelers.sprt import SPRT, two_values
from stepforge.schemas.labeled import Belief, LabeledProblem, StepClass, StepLabel, Verdict
from stepforge.schemas.protocols import Grader, Policy
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Rollout, SolvedProblem

HAZARDS = (1e-3, 0.98)
"""Bounds of what a reward model's score is taken for: completions must be able to say otherwise."""


CLEAN = 0.4
"""Least probability of no wrong step at which a right answer is not flagged. In free wording 0.3 to 0.8 flag nearly the
same solutions; in plain wording, where the policy is sure of most steps, more than half of the flags above 0.5 were
wrong."""


class ChangePoint(LabelPart):
    """Bayesian search for the first error."""

    kind: Literal["change_point"] = "change_point"
    stop: float = Field(default=0.95, gt=0.5, lt=1)
    """Posterior probability of one first error, before ``temper``, at which the search ends; it asks once at least."""
    budget: int = Field(default=48, ge=0)
    """Most completions for a solution."""
    batch: int = Field(default=1, ge=1)
    """Completions asked for at a time: more hide latency and cost a little."""
    least_information: float = Field(default=0.01, ge=0)
    """Nats of information, for the cost of a typical completion of the question, below which nothing more is asked
    after the first."""
    sure: float = Field(default=0.4, ge=0, lt=1)
    """Posterior probability below which it abstains on a wrong answer. A right one is flagged, at the likeliest step,
    where the probability of no wrong step is below 0.4."""
    surprise: bool = True
    """Whether the log-probabilities of the solution's own steps count."""
    stated: bool = True
    """Whether it counts that a step states a false equation, or what no right solution or completion says."""
    siblings: bool = Field(default=True, validation_alias=AliasChoices("siblings", "passing"))
    """Whether the problem's other solutions, and what was drawn from them, are read and count at the prefixes they
    share. Otherwise only completions of this solution's own prefixes are read, and the other solutions count at the
    question."""
    fallback: bool = True
    """Whether wrong solutions whose completions contradict the model are searched and judged by the test of ``sprt``.
    """
    prior: Literal["none", "reward_model"] = "none"
    """What each step's chance to be wrong is before any completion: that of ``rates``, or the calibrated score of the
    run's ``scorer``."""
    calibration: Calibration = Calibration()
    """Of those scores; ``stepforge score`` measures it."""
    rates: Rates = Rates()
    fit_problems: int = Field(default=48, ge=0, validation_alias=AliasChoices("fit_problems", "pilot"))
    """First problems of a run, labeled under ``rates`` and then used to fit the run's own; 0 keeps ``rates``."""

    @property
    def reads_scores(self) -> bool:
        return self.prior != "none"

    @property
    def _signals(self) -> Signals:
        return Signals(self.surprise, self.stated, self.siblings)

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
        """Return the rates under which the stored evidence of labeled problems is likeliest."""
        seen = [one for row in rows for one in observed_in(row, self._signals)]
        return pooled_rates(seen, self.rates, siblings=self.siblings)

    def conclude(self, solved: SolvedProblem, evidence: Evidence) -> LabeledProblem:
        """Return the verdicts and beliefs that follow from evidence; nothing is sampled."""
        verdicts, labels = [], []
        for rollout in solved.rollouts:
            path = solution_trajectory(rollout)
            belief = self.believe(path, evidence) if has_verdict(rollout) else None
            verdicts.append(self.verdict(path, belief))
            known = labels_of(path, evidence)
            labels.append(known if belief is None else self._with_beliefs(known, belief))
        labeled = labeled_problem(self.name, solved, verdicts, evidence)
        pairs = zip(labeled.solutions, labels, strict=True)
        return labeled.model_copy(update={"solutions": tuple(s.model_copy(update={"labels": k}) for s, k in pairs)})

    def observed(self, path: Trajectory, evidence: Evidence) -> Observed:
        """Return the model's input for one solution."""
        seen = observe(path, evidence, self._signals)
        if self.prior == "none" or not path.scores:
            return seen
        right = np.array([self.calibration.probability(score) for score in path.scores])
        return seen._replace(hazard=np.clip(1 - right, *HAZARDS))

    def believe(self, path: Trajectory, evidence: Evidence) -> Posterior:
        """Return the posterior of one solution from all that is known."""
        seen = self.observed(path, evidence)
        belief = posterior(seen, self.rates)
        if not self.fallback or seen.right or not contradicted(seen, self.rates):
            return belief
        return belief._replace(first_error=two_values(path, evidence), trusted=False)

    async def _search(self, path: Trajectory, evidence: Evidence) -> None:
        """Ask once, and then until the posterior is sure, the budget is gone, or nothing is worth asking."""
        spent, check = 0, 4
        rates = self.rates.model_copy(update={"temper": 1.0})  # of how sure it may say it is, not of where to ask
        while spent < self.budget:
            question = self.best_question(path, posterior(self.observed(path, evidence), rates), spent)
            if question is None:
                break
            n = min(self.batch, self.budget - spent)
            await evidence.more(path, question, n)
            spent += n
            if spent >= check:
                check *= 2
                if not self.believe(path, evidence).trusted:
                    await SPRT().search(path, evidence, self.budget - spent)
                    break

    def best_question(self, path: Trajectory, belief: Posterior, spent: int) -> int | None:
        """Return the prefix whose next completion tells most for its cost; None if there is no prefix, or if nothing
        has to be asked after the ``spent`` completions."""
        gained = information(belief)
        worth = {t: float(gained[t]) / share_left(path.steps, t) for t in range(1, len(path.steps))}
        best = max(worth, key=worth.__getitem__, default=0)
        settled = max(belief.first_error) >= self.stop or worth.get(best, 0.0) < self.least_information
        return None if not best or (spent and settled) else best

    def verdict(self, path: Trajectory, belief: Posterior | None) -> Verdict:
        """Return the likeliest first error, or an abstention."""
        if belief is None:
            return Verdict(labeler=self.name, first_error=None, abstained=True, reason=TRUNCATED)
        chances = belief.first_error
        likeliest = max(range(len(chances)), key=chances.__getitem__)
        if path.outcome == "correct":  # whether any step is wrong is asked first, and then which
            flagged = chances[-1] < CLEAN
            likeliest = max(range(len(path.steps)), key=chances.__getitem__) if flagged else len(path.steps)
        elif chances[likeliest] < self.sure:
            return Verdict(labeler=self.name, first_error=None, abstained=True, reason=UNSURE, posterior=chances)
        return Verdict(
            labeler=self.name,
            first_error=None if likeliest == len(path.steps) else likeliest,
            posterior=chances,
            classes=classes_of(belief, likeliest) if belief.trusted else None,
        )

    def _with_beliefs(self, known: Sequence[StepLabel | None], belief: Posterior) -> tuple[StepLabel, ...]:
        """Return a label for every step: what was counted, and what is believed."""
        labels = []
        for count, label in enumerate(known, 1):
            own = float(label.successes) if label is not None else 0.0  # of the whole solution
            mean, low, high = (
                value_and_interval(belief, count, self.rates.ends) if count < len(known) else (own, own, own)
            )
            held = Belief(value=mean, low=low, high=high, p_error=belief.first_error[count - 1])
            counted = label or StepLabel(successes=0, failures=0, stopping="adaptive")
            labels.append(counted.model_copy(update={"belief": held}))
        return tuple(labels)

    def verdict_on(self, rollout: Rollout, evidence: Evidence) -> Verdict:
        """Return the verdict on a solution from evidence that was stored."""
        path = solution_trajectory(rollout)
        verdict = self.verdict(path, self.believe(path, evidence) if has_verdict(rollout) else None)
        return of_policy(verdict, rollout.steps)


def classes_of(belief: Posterior, first_error: int) -> tuple[StepClass, ...]:
    """Return a class for each step, given the first error: repaired where the solution's end is likelier so."""
    steps = len(belief.first_error) - 1
    end = belief.states[steps]
    error: StepClass = "repaired" if end[REPAIRED].sum() > end[LOST].sum() else "wrong"
    right: StepClass = "right"
    after: StepClass = "after"
    return tuple(([right] * first_error + [error] + [after] * (steps - first_error - 1))[:steps])
