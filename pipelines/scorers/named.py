"""A reward model by name: the embedded one, a folder, a hub name, or a file of settings."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from stepforge.pipelines.engines.model_files import CARRIED
from stepforge.pipelines.scorers import AnyScorer
from stepforge.pipelines.scorers.surprise import HEAD_FILE
from stepforge.schemas.errors import BadInput
from stepforge.schemas.own_part import IMPORTING

KNOWN = (("Qwen2ForProcessRewardModel", "qwen_prm"), ("ForTokenClassification", "token_classification"))
"""Shapes recognized from a model's own configuration."""
NAMES = (
    ("math-shepherd", "math_shepherd_prm"),
    ("skywork-o1-open-prm", "value_head"),
    ("rlhflow", "rlhflow"),
    ("qwen2.5-math-prm", "qwen_prm"),
    ("qwen2.5-math-7b-prm800k", "qwen_prm"),
)
"""Shapes of published models recognized only by name."""


def named_scorer(name: str, shape: str | None = None) -> Any:
    """Return the settings of a reward model.

    ``name`` is ``embedded`` or ``embedded-free``, a model's folder or hub name, or a TOML file of settings as under
    ``[scorer]``; ``shape`` is its kind, if neither the model's files nor its name give it. Raises BadInput: the shape
    is unknown, or a setting is wrong.
    """
    if name.endswith(".toml"):
        return _checked(_settings_of(Path(name)), name)
    kind = shape or ("surprise" if name in CARRIED else _shape_of(name))
    if kind is None:
        raise BadInput(
            f"{name}: the shape of this model is unknown; `score` takes it as --shape, and a TOML file of settings "
            "names it as kind (docs/how-to/score.md)"
        )
    return _checked({"kind": kind, "model": name}, name)


def _settings_of(path: Path) -> Mapping[str, object]:
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path}: cannot be read: {error}") from None
    inner = settings.get("scorer", settings)
    return inner if isinstance(inner, dict) else {}


def _checked(settings: Mapping[str, object], where: str) -> Any:
    try:
        return TypeAdapter(AnyScorer).validate_python(dict(settings), context=IMPORTING)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _shape_of(name: str) -> str | None:
    folder = Path(name).expanduser()
    if (folder / HEAD_FILE).is_file():
        return "surprise"
    try:
        architectures = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures") or [""]
    except (OSError, ValueError):
        architectures = [""]
    found = next((kind for part, kind in KNOWN if part in architectures[0]), None)
    return found or next((kind for part, kind in NAMES if part in name.lower()), None)
