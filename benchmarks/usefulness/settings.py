"""The settings of the policies' benchmark: the run that they learn from, how they are trained, what they are examined
on."""

import tomllib
from itertools import count
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from stepforge.filters.duplicates import question_key
from stepforge.generators.families import AnyFamily
from stepforge.generators.policy import PolicySettings
from stepforge.pipelines.engines import AnyEngine
from stepforge.pipelines.settings.faults import faults
from stepforge.schemas.errors import BadInput
from stepforge.schemas.problem import Problem
from stepforge.schemas.record import Record


class Pool(Record):
    """Problems of one purpose."""

    seed: int
    problems: int = Field(ge=1)
    families: tuple[AnyFamily, ...] = Field(min_length=1)

    def without(self, asked: set[str]) -> list[Problem]:
        """Return the problems, families taking turns, no question twice and none of those asked (``question_key``)."""
        drawn = (self.families[i % len(self.families)].item(self.seed, i) for i in count())
        distinct: dict[str, Problem] = {}
        for problem in drawn:
            distinct.setdefault(question_key(problem.question), problem)
            if len(distinct) == self.problems:
                break
        return [problem for key, problem in distinct.items() if key not in asked]


class RowsFrom(Record):
    """Training rows of one export."""

    export: str
    most: int | None = Field(default=None, ge=1)
    """At most so many, spread evenly over those there are."""


class PolicyArm(Record):
    """One way to train the policy; rates and steps were chosen on other problems than the exam's."""

    name: str
    method: Literal["sft", "dpo"]
    rows: tuple[RowsFrom, ...] = Field(min_length=1)
    next_step: bool = False
    """Whether its pairs are single steps, after which there must be no end of text."""
    rate: float = Field(gt=0)
    steps: int = Field(ge=1)
    beta: float = Field(default=0.1, gt=0)
    """Of DPO: how dear it is to leave the policy trained from."""
    sft_weight: float = Field(default=0, ge=0)
    """Of the chosen text's own loss beside DPO's."""

    def options(self) -> list[str]:
        told = {"--rate": self.rate, "--steps": self.steps, "--beta": self.beta, "--sft-weight": self.sft_weight}
        words = [word for name, value in told.items() for word in (name, str(value))]
        return [*words, *(["--next-step"] if self.next_step else [])]


class UsefulnessFile(Record):
    """Everything the benchmark is made of."""

    seed: int
    seeds: tuple[int, ...] = Field(min_length=1)
    """Of training."""
    bootstrap: int = Field(default=1000, ge=10)
    engine: AnyEngine
    policy: PolicySettings
    train: tuple[PolicyArm, ...] = Field(min_length=1)
    run: Path
    """The run file, from the repository's root, whose data sets the policies are trained on."""
    exam: dict[str, Pool] = Field(min_length=1)
    samples: int = Field(default=4, ge=1)
    """Solutions of each problem of the exam at temperature 1."""


def read_settings(path: Path) -> UsefulnessFile:
    """Return the benchmark's settings. Raises BadInput: the file is missing, not TOML, or has a wrong setting."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
        return UsefulnessFile.model_validate(given)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path}: cannot be read: {error}") from None
    except ValidationError as error:
        raise BadInput(f"{path}: {faults(error, given, UsefulnessFile)}") from None
