"""Labelers: solutions and evidence in, step labels out. A union written out by hand; there is no registry."""

from typing import Annotated

from pydantic import Field

from labelers.amcs import AMCS
from labelers.change_point import ChangePoint
from labelers.consensus import Consensus
from labelers.contrast import Contrast
from labelers.epic_prm import EpicPRM
from labelers.judge import Judge
from labelers.labeler import AnyPart, Combiner, FollowUp, Labeler, label_with_all, speaking
from labelers.math_shepherd import MathShepherd
from labelers.omega_prm import OmegaPRM
from labelers.oracle import Oracle
from labelers.scan import SCAN
from labelers.sequential import Sequential

AnyLabeler = Annotated[
    ChangePoint | MathShepherd | Sequential | OmegaPRM | EpicPRM | AMCS | SCAN | Judge | Consensus | Oracle | Contrast,
    Field(discriminator="kind"),
]

__all__ = [
    "AMCS",
    "SCAN",
    "AnyLabeler",
    "AnyPart",
    "ChangePoint",
    "Combiner",
    "Consensus",
    "Contrast",
    "EpicPRM",
    "FollowUp",
    "Judge",
    "Labeler",
    "MathShepherd",
    "OmegaPRM",
    "Oracle",
    "Sequential",
    "label_with_all",
    "speaking",
]
