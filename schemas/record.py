"""The record: everything that flows between stages, or is stored, is a frozen model that refuses unknown fields."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen pydantic model; values that can be derived are properties and never stored."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
