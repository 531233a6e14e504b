"""The contracts of a run's label parts. A part is a record with a ``kind``; it does one of three things.

A labeler gives verdicts from evidence of its own, a combiner from the verdicts of the others, and a follow-up gives
none: it draws more once the verdicts are there.
"""

from collections.abc import Sequence
from typing import Protocol, Self, runtime_checkable

from stepforge.labelers.evidence.store import Evidence
from stepforge.schemas.labeled import LabeledProblem, Verdict
from stepforge.schemas.protocols import Grader, Policy
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem


@runtime_checkable
class Labeler(Protocol):
    """Labels a solved problem; pure but for the policy and the grader."""

    @property
    def name(self) -> str:
        """How reports call it."""
        ...

    async def __call__(self, solved: SolvedProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        """Return the problem with its solutions labeled, and all the evidence."""
        ...


@runtime_checkable
class PooledLabeler(Labeler, Protocol):
    """A labeler with rates of the policy that are fitted to a run's first problems and hold for the rest of it."""

    @property
    def pilot(self) -> int:
        """Problems to fit the rates to; 0: none, the rates stay as they are."""
        ...

    @property
    def rates(self) -> Record:
        """The rates in use."""
        ...

    def with_rates(self, rates: Record) -> Self:
        """Return the labeler under other rates of the same type."""
        ...

    def fitted_rates(self, rows: Sequence[LabeledProblem]) -> Record:
        """Return the rates under which the stored evidence of labeled problems is likeliest."""
        ...

    def conclude(self, solved: SolvedProblem, evidence: Evidence) -> LabeledProblem:
        """Return the labels that follow from evidence; nothing is sampled."""
        ...


@runtime_checkable
class Combiner(Protocol):
    """Has no evidence of its own and speaks about the verdicts of the others."""

    @property
    def name(self) -> str:
        """How reports call it."""
        ...

    def combine(self, verdicts: Sequence[Verdict]) -> Verdict:
        """Return a verdict on one solution from those of the labelers."""
        ...


@runtime_checkable
class FollowUp(Protocol):
    """Draws more completions for the verdicts of others."""

    @property
    def name(self) -> str:
        """How the ledger calls what it spends."""
        ...

    async def follow_up(self, row: LabeledProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        """Return the problem with more in ``further`` and its own cost; labels and verdicts stay as they are."""
        ...


AnyPart = Labeler | Combiner | FollowUp


def speaking(parts: Sequence[AnyPart]) -> list[Labeler | Combiner]:
    """Return the parts that give verdicts."""
    return [part for part in parts if not isinstance(part, FollowUp)]


def pooled_labeler(parts: Sequence[AnyPart]) -> PooledLabeler | None:
    """Return the labeler whose rates are pooled: the first one, whose evidence is kept, if it has rates to pool."""
    first = next((part for part in speaking(parts) if isinstance(part, Labeler)), None)
    return first if isinstance(first, PooledLabeler) and first.pilot else None


def with_rates(part: AnyPart, rates: Record | None) -> AnyPart:
    """Return a labeler as it is, or under the rates pooled over the run."""
    return part.with_rates(rates) if rates is not None and isinstance(part, PooledLabeler) and part.pilot else part
