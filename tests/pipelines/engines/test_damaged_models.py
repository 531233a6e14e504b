"""A model's folder whose files are cut short, as after a download that broke off: one line, which names it."""

import asyncio
import shutil
from pathlib import Path

import pytest

from stepforge.pipelines.engines.model_files import embedded_folder
from stepforge.pipelines.engines.settings import TransformersEngineSettings
from stepforge.pipelines.engines.tokenization import load_tokenizer
from stepforge.pipelines.scorers import open_scorer
from stepforge.pipelines.scorers.shapes import TokenClassification
from stepforge.schemas.errors import BadInput


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(embedded_folder(), tmp_path / "model"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def test_a_tokenizer(model: Path) -> None:
    cut(model / "tokenizer.json")
    with pytest.raises(BadInput, match=f"no usable tokenizer in {model}"):
        load_tokenizer(str(model))


def test_weights(model: Path) -> None:
    pytest.importorskip("torch")
    cut(model / "model.safetensors")
    with pytest.raises(BadInput, match=f"engine: transformers cannot load {model}"):
        asyncio.run(TransformersEngineSettings(model=str(model)).open())
    with pytest.raises(BadInput, match=f"scorer: transformers cannot load {model}"):
        asyncio.run(open_scorer(TokenClassification(model=str(model))))
