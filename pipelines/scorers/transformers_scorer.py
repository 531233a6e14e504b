"""Scoring with transformers. A batch is one call's solutions, so equal calls give equal scores."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from stepforge.pipelines.engines.model_files import digest, locate
from stepforge.pipelines.engines.tokenization import ModelTokenizer, first_line, load_tokenizer
from stepforge.pipelines.scorers.shapes import Reading, Shape
from stepforge.schemas.control_tokens import SpecialToken, check_plain
from stepforge.schemas.protocols import EngineDead, EngineIdentity, StepScores

if TYPE_CHECKING:
    import torch

DIGITS = 6
"""Decimals kept."""


class TransformersScorer:
    """Implements ``schemas.protocols.Scorer``."""

    def __init__(
        self, settings: Shape, network: Any, tokenizer: ModelTokenizer, longest: int, identity: EngineIdentity
    ) -> None:
        self._settings = settings
        self._network = network
        self._tokenizer = tokenizer
        self._longest = longest
        self._identity = identity
        self._turn = asyncio.Lock()
        self._closed = False

    @classmethod
    async def open(cls, settings: Shape) -> "TransformersScorer":
        """Load the model. Raises BadInput: the model or the device is missing, or the model does not have this
        shape."""
        return await asyncio.to_thread(cls._load, settings)

    @classmethod
    def _load(cls, settings: Shape) -> "TransformersScorer":
        import torch
        import transformers

        from stepforge.pipelines.engines.transformers_engine import UNBOUNDED, device_of
        from stepforge.pipelines.scorers.networks import load_network
        from stepforge.schemas.errors import BadInput

        located = locate(settings.model, "scorer.model")
        network = load_network(settings, located)
        try:
            network = network.to(torch.device(device_of(settings.device)))
        except (RuntimeError, AssertionError) as error:
            raise BadInput(f"scorer.device: {settings.device}: {first_line(error)}") from error
        stated = getattr(network.config, "max_position_embeddings", None) or UNBOUNDED
        identity = EngineIdentity(
            model=settings.model,
            digest=digest(located, settings.revision),
            engine="transformers",
            version=str(transformers.__version__),
        )
        longest = min(settings.max_model_len or stated, stated)
        return cls(settings, network, load_tokenizer(located, settings.revision), longest, identity)

    @property
    def identity(self) -> EngineIdentity:
        return self._identity

    async def score(self, question: str, solutions: Sequence[Sequence[str]]) -> list[StepScores]:
        if self._closed:
            raise EngineDead("the scorer is closed")
        async with self._turn:
            return await asyncio.to_thread(self._score, question, solutions)

    async def close(self) -> None:
        self._closed = True
        async with self._turn:
            self._network = None

    def _score(self, question: str, solutions: Sequence[Sequence[str]]) -> list[StepScores]:
        import torch

        if self._settings.threads is not None:
            torch.set_num_threads(self._settings.threads)
        read = [read_solution(self._settings, self._tokenizer, question, steps, self._longest) for steps in solutions]
        readings = [(i, reading) for i, found in enumerate(read) if isinstance(found, list) for reading in found]
        scores: list[list[float]] = [[] for _ in solutions]
        errors = {i: found for i, found in enumerate(read) if isinstance(found, str)}
        try:
            for batch in _batches(readings, self._settings.tokens_per_batch):
                outputs = self._outputs([reading for _, reading in batch])
                for (i, reading), output in zip(batch, outputs, strict=True):
                    row = output[: len(reading.ids)]
                    scores[i] += self._settings.probabilities(self._tokenizer, row, reading)
        except (RuntimeError, ValueError) as error:  # out of memory, a tokenizer without these tokens
            return [StepScores(scores=(), error=f"{type(error).__name__}: {first_line(error)}") for _ in solutions]
        tokens = [sum(len(reading.ids) for number, reading in readings if number == i) for i in range(len(read))]
        return [scored(scores[i], len(steps), tokens[i], errors.get(i)) for i, steps in enumerate(solutions)]

    def _outputs(self, readings: Sequence[Reading]) -> "torch.Tensor":
        """Return (readings, longest, outputs); padded on the right, which a causal model does not see."""
        import torch

        ids = torch.zeros(len(readings), max(len(r.ids) for r in readings), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for number, reading in enumerate(readings):
            ids[number, : len(reading.ids)] = torch.tensor(reading.ids)
            mask[number, : len(reading.ids)] = 1
        device = next(self._network.parameters()).device
        with torch.inference_mode():
            return self._network(input_ids=ids.to(device), attention_mask=mask.to(device)).logits


def read_solution(
    settings: Shape, tokenizer: ModelTokenizer, question: str, steps: Sequence[str], longest: int
) -> list[Reading] | str:
    """Return what to read of a solution, or why it cannot be read."""
    if not steps:
        return "it has no steps"
    try:
        check_plain("".join((question, *steps)), tokenizer.special_tokens)
        found = settings.readings(tokenizer, question, steps)
    except SpecialToken as error:
        return str(error)
    except ValueError as error:
        return first_line(error)
    most = max(len(reading.ids) for reading in found)
    return f"it has {most} tokens, the context {longest}" if most > longest else found


def scored(scores: Sequence[float], steps: int, tokens: int, error: str | None) -> StepScores:
    """Return a solution's scores; none unless every step has a finite one."""
    if error is None and (len(scores) != steps or not all(0 <= score <= 1 for score in scores)):
        error = "the model's output is not a probability for every step"
    kept = () if error else tuple(round(score, DIGITS) for score in scores)
    return StepScores(scores=kept, tokens=0 if error else tokens, error=error)


def _batches(readings: Sequence[tuple[int, Reading]], most: int) -> Iterator[list[tuple[int, Reading]]]:
    """Yield batches of readings in order, each with at most ``most`` padded tokens but at least one reading."""
    batch: list[tuple[int, Reading]] = []
    for one in readings:
        longest = max(len(reading.ids) for _, reading in [*batch, one])
        if batch and longest * (len(batch) + 1) > most:
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch
