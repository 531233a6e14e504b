"""``cascade``: the reward model everywhere, Monte Carlo only where it is unsure, a judge or a person last.

Each tier gets the solutions that earlier tiers did not settle, with the problem's other solutions as evidence. A
solution is settled when one first error, or none, has the probability ``sure`` (under calibrated probabilities the risk
of each label is then at most 1 - ``sure``), or when a tier that gives no probabilities decides. The rest is marked for
a person. Selective escalation: ActPRM, arXiv 2504.10559.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from stepforge.labelers.amcs import AMCS
from stepforge.labelers.change_point.labeler import ChangePoint
from stepforge.labelers.change_point.rates import Rates
from stepforge.labelers.epic_prm import EpicPRM
from stepforge.labelers.evidence.store import Evidence
from stepforge.labelers.judge import Judge
from stepforge.labelers.labeling import LabelPart, labeled_problem
from stepforge.labelers.math_shepherd import MathShepherd
from stepforge.labelers.omega_prm import OmegaPRM
from stepforge.labelers.reward_model import RewardModel
from stepforge.labelers.sequential import Sequential
from stepforge.labelers.sprt import SPRT
from stepforge.schemas.labeled import Cost, LabeledProblem, LabeledSolution, LabelerCost, Verdict
from stepforge.schemas.protocols import Grader, Policy
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Rollout, SolvedProblem

FOR_A_PERSON = "no tier is sure enough: for a person"

Tier = Annotated[
    ChangePoint | MathShepherd | Sequential | OmegaPRM | EpicPRM | AMCS | SPRT | Judge, Field(discriminator="kind")
]


class Cascade(LabelPart):
    """Labelers in order of cost."""

    reads_scores: ClassVar[bool] = True
    kind: Literal["cascade"] = "cascade"
    first: RewardModel = RewardModel(sure=0)
    tiers: tuple[Tier, ...] = Field(default=(ChangePoint(),), min_length=1)
    """What is asked next, for solutions still open."""
    sure: float = Field(default=0.9, ge=0, lt=1)
    """Posterior probability at which a solution goes no further."""
    person: bool = False
    """Whether cases the last tier is unsure of go to a person; otherwise its verdict stands."""

    @property
    def fit_problems(self) -> int:
        """That of ``change_point``, if it is the only tier after the reward model: a judge's words are not kept."""
        return self._searching.fit_problems if self._searching and len(self.tiers) == 1 else 0

    @property
    def rates(self) -> Record:
        return self._searching.rates if self._searching else Rates()

    def with_rates(self, rates: Record) -> "Cascade":
        tiers = tuple(tier.with_rates(rates) if isinstance(tier, ChangePoint) else tier for tier in self.tiers)
        return self.model_copy(update={"tiers": tiers})

    def fitted_rates(self, rows: Sequence[LabeledProblem]) -> Record:
        return self._searching.fitted_rates(rows) if self._searching else Rates()

    def conclude(self, solved: SolvedProblem, evidence: Evidence) -> LabeledProblem:
        """Return the labels that follow from scores and evidence, where ``change_point`` is the only tier."""
        found = (self._searching or ChangePoint()).conclude(solved, evidence)
        solutions = []
        for solution, cheap in zip(found.solutions, map(self.first.verdict, solved.rollouts), strict=True):
            labels = solution.labels if self._open(cheap) else (None,) * len(solution.labels)
            verdict = self._standing(cheap, solution.verdict)
            solutions.append(solution.model_copy(update={"verdict": verdict, "labels": labels}))
        costs = tuple(LabelerCost(labeler=self._tier_name(c.labeler), cost=c.cost) for c in found.costs)
        return found.model_copy(update={"solutions": tuple(solutions), "costs": costs})

    async def __call__(self, solved: SolvedProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        cheap = [self.first.verdict(rollout) for rollout in solved.rollouts]
        row = labeled_problem(self.first.name, solved, cheap, None)
        found: dict[str, LabeledSolution] = {s.rollout.id: s for s in row.solutions}
        evidence: dict[str, Rollout] = {}
        costs = []
        for number, tier in enumerate(self.tiers):
            open_ones = [r for r in solved.rollouts if r.outcome != "undetermined" and self._open(found[r.id].verdict)]
            if not open_ones:
                break
            asked = {r.id for r in open_ones}
            rest = tuple(r for r in solved.rollouts if r.id not in asked)
            part = solved.model_copy(update={"rollouts": tuple(open_ones), "own": (*solved.own, *rest)})
            labeled = await tier(part, policy, grader, seed=seed)
            fresh = {r.id: r for r in labeled.evidence if r.id not in evidence}  # drawn by an earlier tier
            spent = Cost.of([*fresh.values()]) if labeled.evidence else None
            costs += [LabelerCost(labeler=self._tier_name(c.labeler), cost=spent or c.cost) for c in labeled.costs]
            evidence |= fresh
            for solution in labeled.solutions:
                before = found[solution.rollout.id]
                last = number == len(self.tiers) - 1
                verdict = before.verdict if solution.verdict.abstained and not last else solution.verdict
                measured = solution.labels if any(solution.labels) else before.labels
                found[solution.rollout.id] = solution.model_copy(update={"verdict": verdict, "labels": measured})
        solutions = tuple(
            s.model_copy(update={"verdict": self._standing(s.verdict, None)})
            for s in (found[r.id] for r in solved.rollouts)
        )
        if not costs:
            costs = [LabelerCost(labeler=self.name, cost=row.costs[0].cost)]
        update = {"solutions": solutions, "evidence": tuple(evidence.values()), "costs": tuple(costs)}
        return row.model_copy(update=update)

    @property
    def _searching(self) -> ChangePoint | None:
        return next((tier for tier in self.tiers if isinstance(tier, ChangePoint)), None)

    def _tier_name(self, labeler: str) -> str:
        return f"{self.name}: {labeler}"

    def _open(self, verdict: Verdict) -> bool:
        """Whether a verdict settles nothing yet."""
        return verdict.abstained or (verdict.posterior is not None and max(verdict.posterior) < self.sure)

    def _standing(self, verdict: Verdict, later: Verdict | None) -> Verdict:
        """Return the verdict in the cascade's own name: the later one where the first was open."""
        chosen = later if later is not None and self._open(verdict) else verdict
        said = {"labeler": self.name}
        if self.person and self._open(chosen) and chosen.posterior is not None:
            return chosen.model_copy(update={**said, "first_error": None, "abstained": True, "reason": FOR_A_PERSON})
        return chosen.model_copy(update=said)
