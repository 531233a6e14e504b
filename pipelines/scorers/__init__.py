"""Scorers: solution steps in, one probability for each step out. Importing this loads no model library."""

import asyncio
from typing import Annotated, Protocol

from pydantic import Field

from stepforge.pipelines.scorers.shapes import (
    GenerativeJudge,
    MathShepherdPrm,
    QwenPrm,
    RlhFlow,
    Shape,
    TokenClassification,
    ValueHead,
)
from stepforge.pipelines.scorers.surprise import Surprise
from stepforge.schemas.own_part import OrOwn
from stepforge.schemas.protocols import Scorer


class OwnScorer(Protocol):
    """The settings of a user's own scorer."""

    async def open(self) -> Scorer: ...


OurScorer = Surprise | TokenClassification | QwenPrm | RlhFlow | MathShepherdPrm | ValueHead | GenerativeJudge
AnyScorer = Annotated[OurScorer, Field(discriminator="kind"), OrOwn(OwnScorer)]

__all__ = ["AnyScorer", "OurScorer", "OwnScorer", "QwenPrm", "Surprise", "check_scorer", "open_scorer"]


def check_scorer(settings: Shape) -> None:
    """Check, without loading anything, that a model's files are there. Raises BadInput: they are not."""
    from stepforge.pipelines.engines.model_files import locate

    locate(settings.model, "scorer.model")
    if isinstance(settings, Surprise):
        settings.check()


async def open_scorer(settings: OurScorer | OwnScorer) -> Scorer:
    """Load a reward model; the caller closes it. The event loop stays free meanwhile.

    Raises BadInput: the model is missing, or does not have this shape.
    """
    if not isinstance(settings, Shape):
        return await settings.open()
    check_scorer(settings)
    return await asyncio.to_thread(_loaded, settings)


def _loaded(settings: Shape) -> Scorer:
    if isinstance(settings, TokenClassification | QwenPrm) and settings.engine == "vllm":
        from stepforge.pipelines.scorers import vllm_model

        return vllm_model.load(settings)
    from stepforge.pipelines.scorers import transformers_model

    return transformers_model.load(settings)
