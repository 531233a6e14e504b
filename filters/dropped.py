"""What a filter returns: the row to keep, perhaps changed, or why it is dropped."""

from typing import Protocol, TypeVar

from pydantic import Field

from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem

Row = TypeVar("Row", SolvedProblem, LabeledProblem)


class Dropped(Record):
    """A row is dropped, for a reason that is counted."""

    reason: str
    """A short phrase without numbers, so equal reasons add up."""


class Corpus(Record):
    """What a filter may know about the run's other rows."""

    duplicate_of: dict[str, str] = Field(default_factory=dict)
    """Problem id -> id of the earlier problem that asks the same question."""
    near_copy_of: dict[str, str] = Field(default_factory=dict)
    """Problem id -> id of the earlier problem that asks nearly the same."""
    held_out: dict[str, str] = Field(default_factory=dict)
    """Problem id -> which held-out set also contains it, and how, as a countable reason."""


class _Filter(Protocol):
    @property
    def kind(self) -> str:
        """The name in the ledger."""


class VetFilter(_Filter, Protocol):
    """A part that reads a solved problem, before labels."""

    def __call__(self, row: SolvedProblem, corpus: Corpus) -> SolvedProblem | Dropped:
        """Return the row, or why it is dropped."""


class CurateFilter(_Filter, Protocol):
    """A part that reads labels."""

    def __call__(self, row: LabeledProblem) -> LabeledProblem | Dropped:
        """Return the row, or why it is dropped."""
