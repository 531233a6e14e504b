"""The record: everything that flows between stages or is stored is a frozen model that rejects unknown fields."""

from typing import Self

from pydantic import AfterValidator, BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen pydantic model; values that can be derived are properties and never stored."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Summed(Record):
    """A record of counts: two are added field by field."""

    def __add__(self, other: Self) -> Self:
        return type(self)(**{name: getattr(self, name) + getattr(other, name) for name in type(self).model_fields})


def holding(place: str) -> AfterValidator:
    """Return the check that a text has a place to be filled, such as ``{question}``."""

    def check(text: str) -> str:
        if place not in text:
            raise ValueError(f"has no {place}")
        return text

    return AfterValidator(check)
