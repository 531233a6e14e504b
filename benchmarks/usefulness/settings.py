"""The settings of the usefulness benchmark: what is drawn, who labels it, what is trained on the labels."""

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from benchmarks.usefulness.pools import Pool
from stepforge.generators.policy import PolicySettings
from stepforge.labelers import AnyLabeler
from stepforge.pipelines.engines import AnyEngine
from stepforge.pipelines.settings.faults import faults
from stepforge.schemas.errors import BadInput
from stepforge.schemas.record import Record


class NamedLabeler(Record):
    """A labeler, and how tables call it."""

    name: str
    part: AnyLabeler
    everywhere: bool = True
    """Whether it labels the whole pool; else only the first ``equal_problems`` of it."""


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
    bootstrap: int = Field(default=1000, ge=10)
    engine: AnyEngine
    policy: PolicySettings
    pools: dict[str, Pool]
    """``train`` and ``dev``, and the pools that the models are examined on."""
    min_pass_rate: float = 0.2
    max_pass_rate: float = 0.95
    """Problems of ``train`` that are worth labeling, by the share of right solutions."""
    equal_problems: int = Field(ge=1)
    """Problems that every labeler labels, for the comparison at equal size."""
    label: tuple[NamedLabeler, ...] = Field(min_length=1)
    consensus_of: tuple[str, str]
    budgets: tuple[float, ...] = ()
    """Labeling tokens that each labeler may spend, besides what ``reference`` spends on the whole pool."""
    reference: str = "change_point"
    exam: tuple[str, ...] = Field(min_length=1)
    """Pools on which the reward models are examined."""
    held_out: tuple[str, ...] = Field(min_length=1)
    """Those of them whose families no label comes from."""
    per_problem: int = Field(default=3, ge=1)
    """Most erroneous, and most clean, solutions of a problem in an exam."""
    many: tuple[str, ...] = Field(min_length=1)
    """Pools with many solutions a problem, for best-of-N."""
    draws: int = Field(default=40, ge=1)
    """Random choices of N solutions of a problem that are averaged."""
    train_policy: tuple[PolicyArm, ...] = ()
    policy_run: Path | None = None
    """The run, from the repository's root, whose data sets the policies are trained on."""
    policy_exam: dict[str, Pool] = Field(default_factory=dict)
    """Pools on which policies are sampled: as many problems as they say, ``pass_samples`` solutions each."""
    pass_samples: int = Field(default=4, ge=1)


def read_settings(path: Path) -> UsefulnessFile:
    """Return the benchmark's settings.

    Raises:
        BadInput: the file is missing, not TOML, or has a wrong setting.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
        settings = UsefulnessFile.model_validate(given)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path}: cannot be read: {error}") from None
    except ValidationError as error:
        raise BadInput(f"{path}: {faults(error, given, UsefulnessFile)}") from None
    named = {"train", "dev", *settings.exam, *settings.many}
    if missing := sorted(named - settings.pools.keys()):
        raise BadInput(f"{path}: pools: {missing[0]} is named and not described")
    if settings.train_policy and not (settings.policy_run and settings.policy_exam):
        raise BadInput(f"{path}: train_policy: policies need policy_run and policy_exam")
    return settings
