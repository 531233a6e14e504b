"""Scorers: solution steps in, one probability for each step out. Importing this loads no model library."""

import asyncio
import json
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import Field, TypeAdapter, ValidationError

from stepforge.pipelines.engines.model_files import CARRIED, locate
from stepforge.pipelines.scorers.shapes import (
    GenerativeJudge,
    MathShepherdPrm,
    QwenPrm,
    RlhFlow,
    ScorerSettings,
    TokenClassification,
    ValueHead,
)
from stepforge.pipelines.scorers.surprise import HEAD_FILE, Surprise
from stepforge.schemas.errors import BadInput
from stepforge.schemas.own_part import IMPORTING, OrOwn
from stepforge.schemas.protocols import Scorer


class OwnScorer(Protocol):
    """The settings of a user's own scorer."""

    async def open(self) -> Scorer: ...


OurScorer = Surprise | TokenClassification | QwenPrm | RlhFlow | MathShepherdPrm | ValueHead | GenerativeJudge
AnyScorer = Annotated[OurScorer, Field(discriminator="kind"), OrOwn(OwnScorer)]

__all__ = ["AnyScorer", "OurScorer", "OwnScorer", "QwenPrm", "Surprise", "check_scorer", "named_scorer", "open_scorer"]

ARCHITECTURES = (("Qwen2ForProcessRewardModel", "qwen_prm"), ("ForTokenClassification", "token_classification"))
"""Shapes recognized from a model's own configuration."""
NAMES = (
    ("math-shepherd", "math_shepherd_prm"),
    ("skywork-o1-open-prm", "value_head"),
    ("rlhflow", "rlhflow"),
    ("qwen2.5-math-prm", "qwen_prm"),
    ("qwen2.5-math-7b-prm800k", "qwen_prm"),
)
"""Shapes of published models recognized only by name."""


def check_scorer(settings: ScorerSettings) -> None:
    """Check, without loading anything, that a model's files are there. Raises BadInput: they are not."""
    locate(settings.model, "scorer.model")
    if isinstance(settings, Surprise):
        settings.check()


async def open_scorer(settings: OurScorer | OwnScorer) -> Scorer:
    """Load a reward model; the caller closes it. The event loop stays free meanwhile.

    Raises BadInput: the model is missing, or does not have this shape.
    """
    if not isinstance(settings, ScorerSettings):
        return await settings.open()
    check_scorer(settings)
    return await asyncio.to_thread(_loaded, settings)


def _loaded(settings: ScorerSettings) -> Scorer:
    if isinstance(settings, TokenClassification | QwenPrm) and settings.engine == "vllm":
        from stepforge.pipelines.scorers import vllm_model

        return vllm_model.load(settings)
    from stepforge.pipelines.scorers import transformers_model

    return transformers_model.load(settings)


def named_scorer(name: str, shape: str | None = None) -> Any:
    """Return the settings of a reward model.

    ``name`` is ``embedded`` or ``embedded-free``, a model's folder or hub name, or a TOML file of settings as under
    ``[scorer]``; ``shape`` is its kind, if neither the model's files nor its name give it. Raises BadInput: the shape
    is unknown, or a setting is wrong.
    """
    settings = _settings_of(Path(name)) if name.endswith(".toml") else {"kind": shape or _shape_of(name), "model": name}
    try:
        return TypeAdapter(AnyScorer).validate_python(settings, context=IMPORTING)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or ("--shape" if shape else "kind")
        raise BadInput(f"{name}: {place}: {first['msg']}") from None


def _settings_of(path: Path) -> dict[str, object]:
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path}: cannot be read: {error}") from None
    inner = settings.get("scorer", settings)
    return inner if isinstance(inner, dict) else {}


def _shape_of(name: str) -> str:
    """Raises BadInput: neither the model's files nor its name tell."""
    folder = Path(name).expanduser()
    if name in CARRIED or (folder / HEAD_FILE).is_file():
        return "surprise"
    architecture = ""
    with suppress(OSError, ValueError, AttributeError, TypeError, LookupError):  # no model's configuration
        architecture = str(json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures")[0])
    found = [kind for part, kind in ARCHITECTURES if part in architecture]
    found += [kind for part, kind in NAMES if part in name.lower()]
    if not found:
        raise BadInput(
            f"{name}: the shape of this model is unknown; `score` takes it as --shape, and a TOML file of settings "
            "names it as kind (docs/how-to/score.md)"
        )
    return found[0]
