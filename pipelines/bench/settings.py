"""The bench's settings file: what is recorded, which labelers are swept over which budgets, and what is compared."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from stepforge.labelers import AnyLabeler
from stepforge.pipelines.settings.faults import faults
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.settings.run_settings import parse_settings
from stepforge.schemas.errors import BadInput
from stepforge.schemas.record import Record

_LABELER: TypeAdapter[Any] = TypeAdapter(AnyLabeler)


class Sweep(Record):
    labeler: dict[str, JsonValue]
    """The part's settings, as in a run file, its kind among them."""
    name: str | None = None
    """Its name in tables; by default the labeler's own name."""
    over: str
    """The setting that is its budget."""
    at: tuple[float, ...] = Field(min_length=1)

    @property
    def title(self) -> str:
        return self.name or str(self.labeler.get("kind"))

    def part(self, budget: float) -> Any:
        """Return the labeler at a budget. Raises ValidationError: there is no such labeler or setting."""
        return _LABELER.validate_python({**self.labeler, self.over: int(budget) if budget == int(budget) else budget})


class Setting(Record):
    """One row of the tables: a labeler at a budget."""

    labeler: str
    at: float


class Primary(Record):
    """The one comparison planned in advance: ``labeler`` against the most accurate of ``rivals``, in first errors of
    wrong solutions, over all problems of the wording, cross-validated over families."""

    labeler: Setting
    rivals: tuple[Setting, ...] = Field(min_length=1)
    beside: tuple[Setting, ...] = ()
    """Other settings that are measured by family and by base rate too."""


class Values(Record):
    problems: int = Field(ge=1)
    truth: int = Field(default=256, ge=2)
    """Completions per prefix reserved for the truth and never used for estimates."""
    counts: tuple[int, ...] = (1, 2, 4, 8)
    """Completions per prefix used for the estimates."""
    seed: int = 0


class BenchFile(Record):
    seeds: tuple[int, ...] = Field(default=(1, 2, 3), min_length=1)
    bootstrap: int = Field(default=1000, ge=10)
    """Resamples of problems for the intervals."""
    fit_problems: int = Field(default=48, ge=1)
    """Problems of other families to fit rates to, as a run fits them to its first ones."""
    recording: RunFile
    values: Values | None = None
    sweep: tuple[Sweep, ...] = Field(min_length=1)
    primary: Primary


def read_bench_file(path: Path) -> BenchFile:
    """Return the bench's settings. Raises BadInput: the file is missing, not TOML, or has a wrong setting."""
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(
            f"{path}: no such file; the bench's settings are pipelines/bench/labelers.toml in the repository"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path}: cannot be read: {error}") from None
    recording = parse_settings(settings.get("recording", {}), f"{path}: recording")
    try:
        bench = BenchFile.model_validate({**settings, "recording": recording})
        for sweep in bench.sweep:
            sweep.part(sweep.at[0])
    except ValidationError as error:
        raise BadInput(f"{path}: {faults(error, settings, BenchFile)}") from None
    swept = {(sweep.title, at) for sweep in bench.sweep for at in sweep.at}
    for named in (bench.primary.labeler, *bench.primary.rivals, *bench.primary.beside):
        if (named.labeler, named.at) not in swept:
            raise BadInput(f"{path}: primary: {named.labeler} at {named.at:g} is not swept")
    return bench
