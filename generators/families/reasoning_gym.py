"""Tasks of reasoning-gym (arXiv 2505.24760), an extra: ``pip install 'stepforge[gym]'``.

A task's own scorer runs only in isolation: some of them execute the answer.
"""

import json
from collections.abc import Mapping
from importlib import import_module
from typing import ClassVar, Literal

from pydantic import Field, JsonValue

from stepforge.generators.family import ProblemFamily, group_of
from stepforge.schemas.errors import BadInput
from stepforge.schemas.problem import KeptColumn, Problem
from stepforge.schemas.seeds import seed_of
from stepforge.schemas.verifier import PythonVerifier

SCORER = "stepforge.pipelines.sandbox.gym_scorer:score"
SECONDS = 60.0
"""The package takes seconds to import, in each new process."""


class ReasoningGym(ProblemFamily):
    """A task by its name in reasoning-gym, such as ``countdown``."""

    kind: Literal["reasoning_gym"] = "reasoning_gym"
    max_level: ClassVar[int] = 1
    domain: ClassVar[str] = "reasoning gym"

    levels: tuple[int, ...] = (1,)
    task: str = Field(pattern=r"^[a-z0-9_]+$")
    options: dict[str, JsonValue] = Field(default={})
    """Settings of the task, as reasoning-gym calls them."""

    def check(self) -> None:
        try:
            self._entry(0)
        except ImportError:
            raise BadInput("generate: reasoning_gym is not installed: pip install 'stepforge[gym]'") from None
        except (ValueError, TypeError, AssertionError) as error:
            raise BadInput(f"generate: reasoning_gym: task {self.task!r}: {error}") from None

    def item(self, seed: int, index: int) -> Problem:
        """Return item ``index``; its own seed is a hash, so neighbors share nothing."""
        own = seed_of(seed, self.kind, self.task, index) % 2**32
        entry, compared = self._entry(own)
        source = {"task": self.task, "seed": own, "options": self.options}
        name = f"{self.kind}-{self.task}"
        return Problem(
            id=f"{name}-{seed}-{index:07d}",
            source=name,
            domain=self.domain,
            question=entry["question"],
            answer=entry["answer"] if compared else None,
            answer_kind="text",
            group=group_of(name, entry["question"]),
            kept=() if compared else (KeptColumn(name="reasoning_gym", value=json.dumps(source)),),
            verifier=None if compared else PythonVerifier(function=SCORER, seconds=SECONDS),
        )

    def _entry(self, seed: int) -> tuple[Mapping[str, str], bool]:
        """Return a drawn problem, and whether comparing with its answer is all that its scorer does."""
        dataset = import_module("reasoning_gym").create_dataset(self.task, seed=seed, size=1, **self.options)
        plain = import_module("reasoning_gym.dataset").ProceduralDataset.score_answer
        return dataset[0], type(dataset).score_answer is plain
