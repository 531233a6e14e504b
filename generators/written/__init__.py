"""Sources of problems that a model makes from seed problems. A union written out by hand."""

from typing import Annotated

from pydantic import Field

from stepforge.generators.written.prefixes import Prefixes
from stepforge.generators.written.rationales import Rationales
from stepforge.generators.written.source import Attempt, ModelSource, Refused
from stepforge.generators.written.written import Written

AnyModelSource = Annotated[Written | Rationales | Prefixes, Field(discriminator="kind")]

__all__ = ["AnyModelSource", "Attempt", "ModelSource", "Prefixes", "Rationales", "Refused", "Written"]
