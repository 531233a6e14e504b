"""Exports: parts that turn a labelled problem into flat training rows. A union written out by hand."""

from typing import Annotated

from pydantic import Field

from pipelines.exports.preferences import Preference, StepPreference
from pipelines.exports.stepwise import Stepwise

AnyExport = Annotated[Stepwise | StepPreference | Preference, Field(discriminator="kind")]

__all__ = ["AnyExport", "Preference", "StepPreference", "Stepwise"]
