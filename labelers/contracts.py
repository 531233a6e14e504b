"""The contracts of a run's label parts. A part is a record with a ``kind``; it does one of three things.

A labeler gives verdicts from its own evidence, a combiner from the others' verdicts, and a follow-up gives none: it
samples more once verdicts exist. A part may also say, for the checks before a run, that it samples no completions
(``completes = False``), labels without reference answers (``needs_answer = False``), or ``reads_scores``.
"""

from collections.abc import Sequence
from typing import Protocol, Self, runtime_checkable

from stepforge.labelers.evidence.store import Evidence
from stepforge.schemas.labeled import LabeledProblem, Verdict
from stepforge.schemas.protocols import Grader, Policy
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem


class _Named(Protocol):
    @property
    def name(self) -> str:
        """The name in reports and in the ledger."""


@runtime_checkable
class Labeler(_Named, Protocol):
    """Labels a solved problem; pure except for the policy and the grader."""

    async def __call__(self, solved: SolvedProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        """Return the problem with its solutions labeled, and all the evidence."""


@runtime_checkable
class PooledLabeler(Labeler, Protocol):
    """A labeler with rates for the policy, fitted to a run's first problems and used for the rest."""

    @property
    def fit_problems(self) -> int:
        """Number of problems to fit the rates to; 0 keeps the rates as they are."""

    @property
    def rates(self) -> Record:
        """The rates in use."""

    def with_rates(self, rates: Record) -> Self:
        """Return the labeler under other rates of the same type."""

    def fitted_rates(self, rows: Sequence[LabeledProblem]) -> Record:
        """Return the maximum-likelihood rates for the stored evidence of labeled problems."""

    def conclude(self, solved: SolvedProblem, evidence: Evidence) -> LabeledProblem:
        """Return the labels that follow from evidence; nothing is sampled."""


@runtime_checkable
class Combiner(_Named, Protocol):
    """Has no evidence of its own; works from the others' verdicts."""

    def combine(self, verdicts: Sequence[Verdict]) -> Verdict:
        """Return a verdict on one solution from those of the labelers."""


@runtime_checkable
class FollowUp(_Named, Protocol):
    """Samples more completions for other labelers' verdicts."""

    async def follow_up(self, row: LabeledProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        """Return the problem with more in ``further`` and its own cost; labels and verdicts stay as they are."""


AnyPart = Labeler | Combiner | FollowUp


def speaking(parts: Sequence[AnyPart]) -> list[Labeler | Combiner]:
    """Return the parts that give verdicts."""
    return [part for part in parts if not isinstance(part, FollowUp)]


def pooled_labeler(parts: Sequence[AnyPart]) -> PooledLabeler | None:
    """Return the labeler whose rates are pooled: the first one, whose evidence is kept, if it has rates to pool."""
    first = next((part for part in speaking(parts) if isinstance(part, Labeler)), None)
    return first if isinstance(first, PooledLabeler) and first.fit_problems else None


def with_rates(part: AnyPart, rates: Record | None) -> AnyPart:
    """Return a labeler unchanged, or with the rates pooled over the run."""
    return (
        part.with_rates(rates) if rates is not None and isinstance(part, PooledLabeler) and part.fit_problems else part
    )
