"""The contract of an export: what it needs of a labeled problem, which rows it makes, and how they are written.

A new export is a file with a subclass, a line in the union of ``exports/__init__.py``, a training note and a test.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from stepforge.pipelines.exports.rows import ExportName
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.record import Record


class Export(Record, ABC):
    """A part of the run file that turns labeled problems into flat training rows."""

    row: ClassVar[type[Record]]
    """Class of its rows; the columns follow from it."""
    task: ClassVar[Literal["text-generation", "token-classification"]] = "text-generation"
    """The Hub's task category: models that write text, or that judge steps."""
    needs_completions: ClassVar[bool] = False
    """Whether it reads ``evidence`` and ``further``; reading them takes most of the time."""
    kind: str
    name: ExportName = Field(default_factory=lambda settings: settings["kind"])
    """Folder under ``datasets/``."""
    pass_rate: tuple[float, float] = (0.0, 1.0)
    """Only problems with a pass rate in this range, ends included: labels need both outcomes, pairs mainly the middle,
    reinforcement learning neither hopeless nor solved problems."""

    @field_validator("pass_rate")
    @classmethod
    def _a_band(cls, band: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= band[0] <= band[1] <= 1:
            raise ValueError("is not a range; give two shares, the smaller first, such as [0.2, 0.8]")
        return band

    def takes(self, problem: LabeledProblem) -> bool:
        """Whether a problem's pass rate is in the range; one without a rate is only in the full range."""
        if self.pass_rate == (0.0, 1.0):
            return True
        rate = problem.pass_rate
        return rate is not None and self.pass_rate[0] <= rate <= self.pass_rate[1]

    @property
    def row_class(self) -> type[Record]:
        return self.row

    @abstractmethod
    def rows(self, problem: LabeledProblem) -> Iterator[Record]:
        """Yield the problem's rows, the same ones in the same order each time."""

    def lines_beside(self, file: str) -> str | None:
        """Name of the file that also holds the rows of this Parquet file, as lines of JSON; None for no such file."""
        return None

    def line(self, row: Mapping[str, object]) -> Mapping[str, object]:
        return row

    @property
    def package(self) -> Mapping[str, str]:
        """Name -> text of files that make a Python package of the data set's folder."""
        return {}

    @property
    def most_of_a_class(self) -> float | None:
        """Most rows of a class, in multiples of the median class's; None keeps all rows."""
        return None

    def classes(self, row: Record) -> tuple[str, ...]:
        return ()
