"""A factory for process-supervision data: which step of a chain of thought is wrong, measured.

The names listed here are the public interface, documented in docs/python.md; they follow semantic versioning, and no
others do. A name is loaded when it is first used, so that importing the package takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepforge.filters import CurateFilter as CurateFilter
    from stepforge.filters import Dropped as Dropped
    from stepforge.filters import VetFilter as VetFilter
    from stepforge.generators.family import Family as Family
    from stepforge.generators.policy import PolicySettings as PolicySettings
    from stepforge.generators.segmenters import Segmenter as Segmenter
    from stepforge.labelers import AMCS as AMCS
    from stepforge.labelers import SCAN as SCAN
    from stepforge.labelers import SPRT as SPRT
    from stepforge.labelers import Cascade as Cascade
    from stepforge.labelers import ChangePoint as ChangePoint
    from stepforge.labelers import Consensus as Consensus
    from stepforge.labelers import Contrast as Contrast
    from stepforge.labelers import EpicPRM as EpicPRM
    from stepforge.labelers import Judge as Judge
    from stepforge.labelers import Labeler as Labeler
    from stepforge.labelers import MathShepherd as MathShepherd
    from stepforge.labelers import OmegaPRM as OmegaPRM
    from stepforge.labelers import RewardModel as RewardModel
    from stepforge.labelers import Sequential as Sequential
    from stepforge.pipelines.engines import ScriptedEngineSettings as ScriptedEngineSettings
    from stepforge.pipelines.engines import ServerEngineSettings as ServerEngineSettings
    from stepforge.pipelines.engines import TransformersEngineSettings as TransformersEngineSettings
    from stepforge.pipelines.engines import VllmEngineSettings as VllmEngineSettings
    from stepforge.pipelines.library.answers import Grade as Grade
    from stepforge.pipelines.library.answers import cut as cut
    from stepforge.pipelines.library.answers import grade as grade
    from stepforge.pipelines.library.answers import grade_all as grade_all
    from stepforge.pipelines.library.labeling import Task as Task
    from stepforge.pipelines.library.labeling import label_solutions as label_solutions
    from stepforge.pipelines.library.rewards import trl_reward as trl_reward
    from stepforge.pipelines.library.rewards import verify as verify
    from stepforge.pipelines.library.rewards import verl_reward as verl_reward
    from stepforge.pipelines.library.runs import Run as Run
    from stepforge.schemas.errors import BadInput as BadInput
    from stepforge.schemas.errors import RunFailed as RunFailed
    from stepforge.schemas.labeled import Cost as Cost
    from stepforge.schemas.labeled import LabeledProblem as LabeledProblem
    from stepforge.schemas.labeled import LabeledSolution as LabeledSolution
    from stepforge.schemas.labeled import StepLabel as StepLabel
    from stepforge.schemas.labeled import Verdict as Verdict
    from stepforge.schemas.problem import Problem as Problem
    from stepforge.schemas.protocols import Completion as Completion
    from stepforge.schemas.protocols import Engine as Engine
    from stepforge.schemas.protocols import Grader as Grader
    from stepforge.schemas.protocols import Policy as Policy
    from stepforge.schemas.protocols import Prompt as Prompt
    from stepforge.schemas.protocols import Sampling as Sampling
    from stepforge.schemas.protocols import Scorer as Scorer
    from stepforge.schemas.protocols import StepScores as StepScores
    from stepforge.schemas.record import Record as Record
    from stepforge.schemas.rollout import Outcome as Outcome
    from stepforge.schemas.rollout import Rollout as Rollout
    from stepforge.schemas.rollout import SolvedProblem as SolvedProblem
    from stepforge.schemas.rollout import Step as Step

_PLACES = {
    "filters": "CurateFilter Dropped VetFilter",
    "generators.family": "Family",
    "generators.policy": "PolicySettings",
    "generators.segmenters": "Segmenter",
    "labelers": "AMCS Cascade ChangePoint Consensus Contrast EpicPRM Judge Labeler MathShepherd OmegaPRM "
    "RewardModel SCAN SPRT Sequential",
    "pipelines.engines": "ScriptedEngineSettings ServerEngineSettings TransformersEngineSettings VllmEngineSettings",
    "pipelines.library.answers": "Grade cut grade grade_all",
    "pipelines.library.labeling": "Task label_solutions",
    "pipelines.library.rewards": "trl_reward verify verl_reward",
    "pipelines.library.runs": "Run",
    "schemas.errors": "BadInput RunFailed",
    "schemas.labeled": "Cost LabeledProblem LabeledSolution StepLabel Verdict",
    "schemas.problem": "Problem",
    "schemas.protocols": "Completion Engine Grader Policy Prompt Sampling Scorer StepScores",
    "schemas.record": "Record",
    "schemas.rollout": "Outcome Rollout SolvedProblem Step",
}
"""The public names, by the module that defines them."""
_MODULES = {name: f"stepforge.{module}" for module, names in _PLACES.items() for name in names.split()}

__all__ = [*_MODULES]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("stepforge")
    if name not in _MODULES:
        raise AttributeError(f"module 'stepforge' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
