"""Labelers: solutions and evidence in, step labels out. A union written out by hand; there is no registry."""

from typing import Annotated

from pydantic import Field

from stepforge.labelers.amcs import AMCS
from stepforge.labelers.cascade import Cascade
from stepforge.labelers.change_point.labeler import ChangePoint
from stepforge.labelers.consensus import Consensus
from stepforge.labelers.contracts import AnyPart, Combiner, FollowUp, Labeler, PooledLabeler, speaking
from stepforge.labelers.contrast import Contrast
from stepforge.labelers.epic_prm import EpicPRM
from stepforge.labelers.judge import Judge
from stepforge.labelers.math_shepherd import MathShepherd
from stepforge.labelers.omega_prm import OmegaPRM
from stepforge.labelers.oracle import Oracle
from stepforge.labelers.reward_model import RewardModel
from stepforge.labelers.run_parts import label_with_all
from stepforge.labelers.scan import SCAN
from stepforge.labelers.sequential import Sequential
from stepforge.labelers.sprt import SPRT
from stepforge.schemas.own_part import OrOwn

AnyLabeler = Annotated[
    ChangePoint
    | MathShepherd
    | Sequential
    | OmegaPRM
    | EpicPRM
    | AMCS
    | SCAN
    | SPRT
    | RewardModel
    | Cascade
    | Judge
    | Consensus
    | Oracle
    | Contrast,
    Field(discriminator="kind"),
    OrOwn(Labeler, Combiner, FollowUp),
]

__all__ = [
    "AMCS",
    "SCAN",
    "SPRT",
    "AnyLabeler",
    "AnyPart",
    "Cascade",
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
    "PooledLabeler",
    "RewardModel",
    "Sequential",
    "label_with_all",
    "speaking",
]
