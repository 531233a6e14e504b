"""Labelers: solutions and evidence in, step labels out. A union written out by hand; there is no registry."""

from typing import Annotated

from pydantic import Field

from labelers.labeler import Labeler, label_with_all
from labelers.math_shepherd import MathShepherd
from labelers.omega_prm import OmegaPRM
from labelers.oracle import Oracle

AnyLabeler = Annotated[MathShepherd | OmegaPRM | Oracle, Field(discriminator="kind")]

__all__ = ["AnyLabeler", "Labeler", "MathShepherd", "OmegaPRM", "Oracle", "label_with_all"]
