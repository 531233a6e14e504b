"""Exports: parts that turn a labeled problem into flat training rows. A union written out by hand."""

from typing import Annotated, get_args

from pydantic import Field

from stepforge.pipelines.exports.contract import Export
from stepforge.pipelines.exports.lengths import Routing, ShortLong
from stepforge.pipelines.exports.marked_text import MathShepherdText, QwenPRM, RLHFlow, SoftStepwise
from stepforge.pipelines.exports.prm800k import PRM800K
from stepforge.pipelines.exports.process_bench import ProcessBench
from stepforge.pipelines.exports.reflection import Reflection, Repairs
from stepforge.pipelines.exports.rl_prompts import RLPrompts
from stepforge.pipelines.exports.search_tree import SearchTree
from stepforge.pipelines.exports.states import States
from stepforge.pipelines.exports.step_advantages import StepAdvantages
from stepforge.pipelines.exports.step_pairs import Pairwise, StepDPO, StepPreference
from stepforge.pipelines.exports.stepwise import Stepwise
from stepforge.pipelines.exports.verification import ProofVerification, Verification
from stepforge.pipelines.exports.whole_solutions import KTO, Preference, RejectionSampling
from stepforge.schemas.own_part import OrOwn

AnyExport = Annotated[
    Stepwise
    | SoftStepwise
    | MathShepherdText
    | PRM800K
    | QwenPRM
    | RLHFlow
    | ProcessBench
    | StepPreference
    | StepDPO
    | Pairwise
    | Preference
    | KTO
    | RejectionSampling
    | Reflection
    | Repairs
    | Verification
    | ProofVerification
    | RLPrompts
    | StepAdvantages
    | SearchTree
    | States
    | ShortLong
    | Routing,
    Field(discriminator="kind"),
    OrOwn(Export),
]

EXPORTS: tuple[type[AnyExport], ...] = get_args(get_args(AnyExport)[0])

__all__ = ["EXPORTS", "AnyExport", "Stepwise"]
