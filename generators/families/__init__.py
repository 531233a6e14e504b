"""The procedural families. A union written out by hand: to add a family, write its file and add its name."""

from typing import Annotated

from pydantic import Field

from stepforge.generators.families.areas import Areas
from stepforge.generators.families.fractions import FractionChain
from stepforge.generators.families.linear import LinearEquation
from stepforge.generators.families.logic import Logic
from stepforge.generators.families.number_theory import NumberTheory
from stepforge.generators.families.plans import Plans
from stepforge.generators.families.polynomials import Polynomials
from stepforge.generators.families.prices import Prices
from stepforge.generators.families.programs import Programs
from stepforge.generators.families.quantities import Quantities
from stepforge.generators.families.reasoning_gym import ReasoningGym
from stepforge.generators.families.sequences import Sequence
from stepforge.generators.families.templates import Templates
from stepforge.generators.families.tools import Tools

_Stating = (
    Quantities | LinearEquation | NumberTheory | FractionChain | Sequence | Polynomials | Prices | Areas | Templates
)
AnyFamily = Annotated[_Stating | Programs | Logic | Plans | Tools | ReasoningGym, Field(discriminator="kind")]

ALL_FAMILIES = (Quantities, LinearEquation, NumberTheory, FractionChain, Sequence, Polynomials, Prices, Areas)
"""Those that need no files and state one value per line."""

DOMAINS = (Logic, Plans, Tools, Programs)
"""Those whose steps deduce, move, call a tool, or are statements of a program."""

__all__ = ["ALL_FAMILIES", "DOMAINS", "AnyFamily", "Logic", "Plans", "Programs", "ReasoningGym", "Tools"]
