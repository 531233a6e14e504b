"""Several policies in a run: another model, other words, another temperature. Each problem is solved by one of them,
chosen by its id. The same policy completes its solutions, or the run's ``completer`` does."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from stepforge.schemas.record import Record
from stepforge.schemas.seeds import seed_of

NAME = r"^[A-Za-z0-9_.-]{1,40}$"


def holding(place: str) -> AfterValidator:
    """Return the check that a text has a place to be filled, such as ``{question}``."""

    def check(text: str) -> str:
        if place not in text:
            raise ValueError(f"has no {place}")
        return text

    return AfterValidator(check)


class Way(Record):
    """The differences; the rest is as in ``[policy]``."""

    name: str = Field(pattern=NAME)
    """Added to the model's name wherever rows name their policy."""
    share: float = Field(ge=0, le=1)
    """Share of the problems that are asked so; 0 for one that only completes."""
    engine: str | None = Field(default=None, pattern=NAME)
    """Another model: the name of its table, ``[engines.<name>]``."""
    prompt: Annotated[str, holding("{question}")] | None = None
    chat: bool | None = None
    system: str | None = None
    temperature: float | None = Field(default=None, gt=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)

    @property
    def changes(self) -> dict[str, object]:
        """The settings of a policy that it changes."""
        changed = self.model_dump(exclude={"name", "share", "engine"})
        return {name: value for name, value in changed.items() if value is not None}


def way_of(ways: Sequence[Way], problem: str) -> Way | None:
    """Return how a problem is asked; None: as the policy itself."""
    drawn = seed_of("way", problem) / 2**63
    for way in ways:
        drawn -= way.share
        if drawn < 0:
            return way
    return None
