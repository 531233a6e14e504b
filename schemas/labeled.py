"""Labels as views of stored evidence. ``labels[i]`` is about the prefix ``steps[:i+1]``."""

from collections.abc import Iterable
from itertools import accumulate, islice
from typing import Literal, Self

from pydantic import Field, model_validator

from stepforge.schemas.interval import wilson
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Completion
from stepforge.schemas.record import Record, Summed
from stepforge.schemas.rollout import SUPPLIED, PolicyIdentity, Repair, Rollout, pass_rate

Stopping = Literal["fixed", "first_success", "adaptive"]
"""When sampling stopped: after a fixed number, at the first success, or adaptively. Only with a
fixed number is c/k an unbiased estimate; a posterior under a prior is not touched by the rule (likelihood principle).
"""


class Belief(Record):
    """A labeler's estimate for one prefix under a model of V, from all evidence and not only its counts."""

    value: float
    """Posterior mean of V."""
    low: float
    high: float
    """Ends of the 90 % credible interval of V."""
    p_error: float
    """Posterior probability that the prefix's last step is the first wrong one."""


class StepLabel(Record):
    """What was counted when the policy continued from a prefix."""

    successes: int = Field(ge=0)
    """Completions that ended at the right answer."""
    failures: int = Field(ge=0)
    """Completions that ended at a wrong one."""
    undetermined: int = 0
    """Completions without a verdict, including truncated ones; they count neither way."""
    truncated: int = 0
    """Undetermined ones that hit the token limit."""
    stopping: Stopping = "fixed"
    belief: Belief | None = None

    @property
    def trials(self) -> int:
        """Completions with a verdict."""
        return self.successes + self.failures

    @property
    def value(self) -> float | None:
        """The share of successes; None without a trial. Biased unless ``stopping`` is ``fixed``."""
        return self.successes / self.trials if self.trials else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % Wilson interval of the value; None without a trial."""
        return wilson(self.successes, self.trials) if self.trials else None

    @property
    def hard(self) -> bool | None:
        """Any success (OmegaPRM section 3.4, Math-Shepherd's HE); None without a trial."""
        return self.successes > 0 if self.trials else None


StepClass = Literal["right", "wrong", "repaired", "after", "unknown"]
"""``wrong``: never repaired in this solution, so fatal; ``repaired``: wrong, and corrected later (oracle: a later line
states it correctly; outcome-based labeler: the policy succeeds as if it had been right); ``after``: not judged, after
the first error; ``unknown``: nothing that can be judged."""


class Verdict(Record):
    """One labeler's opinion of one solution."""

    labeler: str
    first_error: int | None
    """0-based index of the first wrong step; None if there is none, or if the labeler abstains."""
    abstained: bool = False
    reason: str | None = None
    """Why it abstained."""
    posterior: tuple[float, ...] | None = None
    """Probability of each first-error index, and of no error last."""
    classes: tuple[StepClass, ...] | None = None
    """A class per step, from labelers that give one (the oracle, ``change_point``)."""
    critique: str | None = None
    """A judge's own words, kept only where its verdict agrees with another labeler's."""

    def is_about(self, steps: int) -> bool:
        """Whether it can be a verdict on a solution of so many steps."""
        named = self.first_error is None or 0 <= self.first_error < steps
        return named and len(self.posterior or ()) in (0, steps + 1) and len(self.classes or ()) in (0, steps)

    @property
    def right_so_far(self) -> list[float]:
        """For each step the probability that it and all before it are right; empty without a posterior."""
        left = accumulate((self.posterior or ())[:-1], lambda rest, p: rest - p, initial=1.0)
        return [min(1.0, max(0.0, p)) for p in islice(left, 1, None)]

    @property
    def finds_no_error(self) -> bool:
        """Whether the verdict is that every step is right."""
        return self.first_error is None and not self.abstained


class LabeledSolution(Record):
    """A solution with its step labels; ``None`` where a prefix was not measured."""

    rollout: Rollout
    labels: tuple[StepLabel | None, ...]
    verdict: Verdict
    others: tuple[Verdict, ...] = ()
    """Verdicts of further labelers of the same run."""
    targets: tuple[float | None, ...] = ()
    """Training target of each step from a rule of ``stepforge relabel``; empty if none was applied."""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        steps = len(self.rollout.steps)
        whole = len(self.labels) == steps and len(self.targets) in (0, steps)
        if not whole or not all(verdict.is_about(steps) for verdict in (self.verdict, *self.others)):
            raise ValueError(f"labels or verdicts are of another solution than {self.rollout.id}, of {steps} steps")
        return self

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Every labeler's, the label's own first."""
        return (self.verdict, *self.others)

    @property
    def right_so_far(self) -> list[float | None]:
        """The verdict's; without a posterior the share of completions that succeed from each step, else None."""
        if not self.verdict.posterior:
            return [None if label is None else label.value for label in self.labels]
        return list[float | None](self.verdict.right_so_far)

    @property
    def labeled_steps(self) -> int:
        """Steps that the verdict judges: those up to the first error, or all; none if it abstains."""
        if self.verdict.abstained:
            return 0
        return len(self.rollout.steps) if self.verdict.first_error is None else self.verdict.first_error + 1


class Cost(Summed):
    """Cost. Prompt tokens count each time they are sent, cached or not."""

    rollouts: int = 0
    generated_tokens: int = 0
    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0

    @classmethod
    def of(cls, written: Iterable[Rollout | Completion]) -> "Cost":
        """Return the cost of sampling these, including repairs."""
        asked: list[Rollout | Completion | Repair] = list(written)
        asked += [r.repair for r in asked if isinstance(r, Rollout) and r.repair is not None]
        return cls(
            rollouts=len(asked),
            generated_tokens=sum(w.tokens for w in asked),
            prompt_tokens=sum(w.prompt_tokens for w in asked),
            cached_prompt_tokens=sum(w.cached_tokens for w in asked),
        )


def cost_by_labeler(entries: "Iterable[LabelerCost]") -> dict[str, Cost]:
    return summed_costs((entry.labeler, entry.cost) for entry in entries)


def summed_costs(entries: Iterable[tuple[str, Cost]]) -> dict[str, Cost]:
    """Return the sum of what stands beside each name."""
    costs: dict[str, Cost] = {}
    for name, cost in entries:
        costs[name] = costs.get(name, Cost()) + cost
    return costs


class LabelerCost(Record):
    """One labeler's cost on one problem."""

    labeler: str
    cost: Cost


class LabeledProblem(Record):
    """A problem, its labeled solutions, and every completion that was sampled to label them."""

    problem: Problem
    solutions: tuple[LabeledSolution, ...]
    evidence: tuple[Rollout, ...]
    """Completions of the first labeler; each one's ``start`` names a solution here or an earlier completion."""
    policy: PolicyIdentity
    costs: tuple[LabelerCost, ...]
    further: tuple[Rollout, ...] = ()
    """Completions drawn after labeling, by parts that give no verdict (``contrast``). Pairs are found in them too; no
    label is made from them, so every labeler's figures match its own cost."""
    searched: tuple[Rollout, ...] = ()
    """Whole solutions that a search found in addition to ``solutions``: selected, so nothing is counted from them."""
    own: tuple[Rollout, ...] = ()
    """The policy's own solutions of a problem with supplied solutions, if it also solved the problem."""
    completer: PolicyIdentity | None = None
    """Who wrote the completions, where that is not the policy."""

    @model_validator(mode="after")
    def _completions_start_somewhere(self) -> Self:
        steps = {r.id: len(r.steps) for r in (*(s.rollout for s in self.solutions), *self.sampled)}
        for one in (*self.evidence, *self.further):
            start = one.start.steps if one.start is not None else 0
            if one.start is not None and start and not 0 < start <= steps.get(one.start.rollout, 0):
                raise ValueError(f"completion {one.id} starts at step {start} of {one.start.rollout}, which has none")
            steps[one.id] = start + len(one.steps)
        return self

    @property
    def sampled(self) -> list[Rollout]:
        """The samples of the bare question by whoever wrote the completions, beside those among the completions."""
        if self.supplied or self.completer is not None:
            return list(self.own)
        return [*(s.rollout for s in self.solutions if s.rollout.tokens), *self.own]

    @property
    def supplied(self) -> bool:
        """Whether the solutions were supplied: the policy wrote none of them."""
        return self.policy.model == SUPPLIED

    @property
    def pass_rate(self) -> float | None:
        """The base rate: the policy's own pass rate; None if it did not sample the problem."""
        return pass_rate(self.own if self.supplied else [s.rollout for s in self.solutions])

    @property
    def labeled_steps(self) -> int:
        """Steps that the first labeler judges, over all solutions."""
        return sum(solution.labeled_steps for solution in self.solutions)


COMPLETIONS = ("evidence", "further", "searched")
"""The large columns of a labeled problem, not needed to read only the solutions."""
TOKENS = ("token_ids", "token_logprobs")
"""Parts of every step that only exports by token need."""


class Failure(Record):
    """A row that could not be finished: stored next to the shard, so the other rows continue."""

    problem_id: str
    stage: str
    error: str
    """Class of the error."""
    message: str


class Rejected(Record):
    """A row that a filter dropped, with the reason; the row itself is kept as JSON."""

    problem_id: str
    filter: str
    reason: str
    row: str
