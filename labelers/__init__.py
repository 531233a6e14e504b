"""Labelers: solutions and evidence in, step labels out. A union written out by hand; there is no registry."""

from typing import Annotated

from pydantic import Field

from stepforge.labelers.amcs import AMCS as AMCS
from stepforge.labelers.answer_likelihood import AnswerLikelihood as AnswerLikelihood
from stepforge.labelers.cascade import Cascade as Cascade
from stepforge.labelers.change_point.labeler import ChangePoint as ChangePoint
from stepforge.labelers.consensus import Consensus as Consensus
from stepforge.labelers.contracts import AnyPart as AnyPart
from stepforge.labelers.contracts import Combiner as Combiner
from stepforge.labelers.contracts import FollowUp as FollowUp
from stepforge.labelers.contracts import Labeler as Labeler
from stepforge.labelers.contracts import PooledLabeler as PooledLabeler
from stepforge.labelers.contracts import speaking as speaking
from stepforge.labelers.contrast import Contrast as Contrast
from stepforge.labelers.epic_prm import EpicPRM as EpicPRM
from stepforge.labelers.judge import Judge as Judge
from stepforge.labelers.labeling import label_with_all as label_with_all
from stepforge.labelers.math_shepherd import MathShepherd as MathShepherd
from stepforge.labelers.omega_prm import OmegaPRM as OmegaPRM
from stepforge.labelers.oracle import Oracle as Oracle
from stepforge.labelers.reward_model import RewardModel as RewardModel
from stepforge.labelers.scan import SCAN as SCAN
from stepforge.labelers.sequential import Sequential as Sequential
from stepforge.labelers.sprt import SPRT as SPRT
from stepforge.schemas.own_part import OrOwn

_MonteCarlo = ChangePoint | MathShepherd | Sequential | OmegaPRM | EpicPRM | AMCS | SCAN | SPRT
AnyLabeler = Annotated[
    _MonteCarlo | AnswerLikelihood | RewardModel | Cascade | Judge | Consensus | Oracle | Contrast,
    Field(discriminator="kind"),
    OrOwn(Labeler, Combiner, FollowUp),
]
