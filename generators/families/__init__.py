"""The procedural families. A union written out by hand: to add a family, write its file and add its name."""

from typing import Annotated

from pydantic import Field

from stepforge.generators.families.fractions import FractionChain
from stepforge.generators.families.linear import LinearEquation
from stepforge.generators.families.logic import Logic
from stepforge.generators.families.number_theory import NumberTheory
from stepforge.generators.families.plans import Plans
from stepforge.generators.families.polynomials import Polynomials
from stepforge.generators.families.quantities import Quantities
from stepforge.generators.families.sequences import Sequence
from stepforge.generators.families.templates import Templates
from stepforge.generators.families.tools import Tools

AnyFamily = Annotated[
    Quantities
    | LinearEquation
    | NumberTheory
    | FractionChain
    | Sequence
    | Polynomials
    | Templates
    | Logic
    | Plans
    | Tools,
    Field(discriminator="kind"),
]

ALL_FAMILIES = (Quantities, LinearEquation, NumberTheory, FractionChain, Sequence, Polynomials)
"""Those whose steps state quantities, and that need no files."""

DOMAINS = (Logic, Plans, Tools)
"""Those whose steps deduce, move or call a tool."""

__all__ = ["ALL_FAMILIES", "DOMAINS", "AnyFamily"]
