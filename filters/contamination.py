"""Contamination: problems in a held-out set must not be trained on."""

from pathlib import PurePath
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from stepforge.filters.dropped import Corpus, Dropped
from stepforge.filters.held_out import WAYS, Way
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem

_FILES = {".jsonl", ".ndjson", ".json", ".csv", ".parquet"}


class HeldOut(Record):
    """A held-out set: a file, a folder of files of one format, or a Hub dataset."""

    path: str | None = None
    hub: str | None = None
    config: str | None = None
    split: str | None = None
    revision: str | None = None
    question: str | None = None
    """Column of the question; by default `question` or another usual name."""
    name: str | None = Field(default=None, min_length=1, max_length=100)
    """Name under which hits are counted; by default the file's or the dataset's name."""

    @model_validator(mode="after")
    def _one_place(self) -> "HeldOut":
        if (self.path is None) == (self.hub is None):
            raise ValueError("give either path or hub")
        return self

    @property
    def label(self) -> str:
        return self.name or (PurePath(self.path).stem if self.path else self.hub or "")


class Contamination(Record):
    """Drop problems that are also in a held-out set: verbatim, in part, with other numbers, or reworded."""

    kind: Literal["contamination"] = "contamination"
    against: tuple[HeldOut, ...] = Field(min_length=1)
    """Held-out sets, each a table or a string: a file's or folder's path, else the name of a Hub dataset."""
    ways: tuple[Way, ...] = Field(default=WAYS, min_length=1)
    """What counts: `verbatim` (but for case, layout and punctuation), a `shared passage` of 13 words (GPT-3's rule),
    `renumbered`, and `reworded`."""
    alike: float = Field(default=0.4, gt=0, le=1)
    """Least cosine of the words of two questions, rare words weighing more, to count as `reworded`; most of their
    numbers must also be the same."""

    @field_validator("against", mode="before")
    @classmethod
    def _from_texts(cls, against: Any) -> Any:
        listed = against if isinstance(against, list | tuple) else [against]
        return [_place(one) if isinstance(one, str) else one for one in listed]

    def __call__(self, row: SolvedProblem, corpus: Corpus) -> SolvedProblem | Dropped:
        hit = corpus.held_out.get(row.problem.id)
        return row if hit is None else Dropped(reason=hit)


def _place(text: str) -> dict[str, str]:
    """A Hub name is `name` or `owner/name`, without a suffix; anything else is a path."""
    looks_like_a_path = text.startswith((".", "/", "~")) or text.count("/") > 1 or text.endswith("/")
    return {"path": text} if looks_like_a_path or _FILES & set(PurePath(text.lower()).suffixes) else {"hub": text}
