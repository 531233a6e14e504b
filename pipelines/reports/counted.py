"""Figures that say of themselves what they count: a rule beside each field, from which it is measured and named."""

from collections import Counter
from functools import cache
from typing import NamedTuple, Self, get_args

from stepforge.schemas.interval import Share, share_of
from stepforge.schemas.record import Record


class Per(NamedTuple):
    """What a figure counts, and of how many; either may be several marks, joined by `` + ``."""

    hits: str = ""
    """Nothing: it is not counted."""
    among: str = ""
    """Nothing: it is a count, not a share."""
    title: str = ""
    """Its name in tables, which leave it out if it has none."""

    def marks(self) -> tuple[list[str], list[str]]:
        hits, among = (marks.split(" + ") if marks else [] for marks in self[:2])
        return hits, among


class Counted(Record):
    @classmethod
    def of(cls, counts: Counter[str], **more: object) -> Self:
        """Return the figures of counted marks; ``more`` gives what is not counted. A share of nothing is None."""
        found = dict(more)
        for name, rule in rules(cls).items():
            hits, among = (sum(counts[mark] for mark in marks) for marks in rule.marks())
            if rule.among:
                interval = Share in get_args(cls.model_fields[name].annotation)
                found[name] = share_of(hits, among) if interval else hits / among if among else None
            elif rule.hits:
                found[name] = hits
        return cls.model_validate(found)


@cache
def rules(record: type[Counted]) -> dict[str, Per]:
    """Return the rules of a record's fields."""
    fields = record.model_fields.items()
    return {name: rule for name, field in fields for rule in field.metadata if isinstance(rule, Per)}
