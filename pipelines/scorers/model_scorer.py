"""A scorer of any shape on a loaded model. A batch is one call's solutions, so equal calls give equal scores."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

import torch

from stepforge.pipelines.engines.model_files import digest
from stepforge.pipelines.engines.tokenization import load_tokenizer
from stepforge.pipelines.scorers.shapes import Reading, ScorerSettings
from stepforge.schemas.control_tokens import SpecialToken, check_plain
from stepforge.schemas.errors import first_line
from stepforge.schemas.protocols import EngineDead, EngineIdentity, StepScores

DIGITS = 6
"""Decimals kept."""


class LoadedModel(Protocol):
    """A model in one of the libraries that can read it."""

    longest: int
    """Most tokens that it reads."""

    def outputs(self, readings: Sequence[Reading]) -> Iterable[torch.Tensor]:
        """Return (tokens, outputs) for each reading; what follows its tokens is padding."""
        ...

    def close(self) -> None: ...


class ModelScorer:
    """Implements ``schemas.protocols.Scorer``."""

    def __init__(
        self, settings: ScorerSettings, located: str, model: LoadedModel, engine: str, version: object
    ) -> None:
        self._settings = settings
        self._model: LoadedModel | None = model
        self._tokenizer = load_tokenizer(located, settings.revision)
        self.identity = EngineIdentity(
            model=settings.model, digest=digest(located, settings.revision), engine=engine, version=str(version)
        )
        self._turn = asyncio.Lock()

    async def score(self, question: str, solutions: Sequence[Sequence[str]]) -> list[StepScores]:
        async with self._turn:
            if self._model is None:
                raise EngineDead("the scorer is closed")
            return await asyncio.to_thread(self._score, self._model, question, solutions)

    async def close(self) -> None:
        async with self._turn:
            model, self._model = self._model, None
            if model is not None:
                await asyncio.to_thread(model.close)

    def _score(self, model: LoadedModel, question: str, solutions: Sequence[Sequence[str]]) -> list[StepScores]:
        read = [self._read(question, steps, model.longest) for steps in solutions]
        readings = [(i, reading) for i, found in enumerate(read) if isinstance(found, list) for reading in found]
        scores: list[list[float]] = [[] for _ in solutions]
        tokens = [0] * len(solutions)
        try:
            for (i, reading), outputs in zip(readings, model.outputs([r for _, r in readings]), strict=True):
                scores[i] += self._settings.probabilities(self._tokenizer, outputs[: len(reading.ids)], reading)
                tokens[i] += len(reading.ids)
        except EngineDead:
            raise
        except (RuntimeError, ValueError) as error:  # out of memory, a tokenizer without these tokens
            return [StepScores(scores=(), error=f"{type(error).__name__}: {first_line(error)}") for _ in solutions]
        errors = [found if isinstance(found, str) else None for found in read]
        return [_scored(*one) for one in zip(scores, map(len, solutions), tokens, errors, strict=True)]

    def _read(self, question: str, steps: Sequence[str], longest: int) -> list[Reading] | str:
        """Return a solution's readings, or why it cannot be read."""
        if not steps:
            return "it has no steps"
        try:
            check_plain("".join((question, *steps)), self._tokenizer.special_tokens)
            found = self._settings.readings(self._tokenizer, question, steps)
        except SpecialToken as error:
            return str(error)
        except ValueError as error:
            return first_line(error)
        most = max(len(reading.ids) for reading in found)
        return f"it has {most} tokens, the context {longest}" if most > longest else found


def _scored(scores: Sequence[float], steps: int, tokens: int, error: str | None) -> StepScores:
    """Return a solution's scores; none unless every step has a finite one."""
    if error is None and (len(scores) != steps or not all(0 <= score <= 1 for score in scores)):
        error = "the model's output is not a probability for every step"
    kept = () if error else tuple(round(score, DIGITS) for score in scores)
    return StepScores(scores=kept, tokens=0 if error else tokens, error=error)
