"""The procedural families. A union written out by hand: to add a family, write its file and add its name."""

from typing import Annotated

from pydantic import Field

from generators.families.fractions import FractionChain
from generators.families.linear import LinearEquation
from generators.families.number_theory import NumberTheory
from generators.families.polynomials import Polynomials
from generators.families.quantities import Quantities
from generators.families.sequences import Sequence

AnyFamily = Annotated[
    Quantities | LinearEquation | NumberTheory | FractionChain | Sequence | Polynomials,
    Field(discriminator="kind"),
]

ALL_FAMILIES = (Quantities, LinearEquation, NumberTheory, FractionChain, Sequence, Polynomials)

__all__ = ["ALL_FAMILIES", "AnyFamily"]
