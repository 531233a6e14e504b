"""Filters: keep a row, or drop it with a reason. Two unions written out by hand: before labels, and after."""

from typing import Annotated

from pydantic import Field

from stepforge.filters.difficulty import Difficulty
from stepforge.filters.doubted import Doubted
from stepforge.filters.dropped import Corpus, CurateFilter, Dropped, VetFilter
from stepforge.filters.duplicates import Duplicates, question_key
from stepforge.filters.labels import Decided
from stepforge.filters.self_consistency import SelfConsistency
from stepforge.filters.shape import Shape
from stepforge.schemas.own_part import OrOwn

AnyVetFilter = Annotated[
    SelfConsistency | Difficulty | Duplicates | Shape, Field(discriminator="kind"), OrOwn(VetFilter)
]
AnyCurateFilter = Annotated[Decided | Doubted, Field(discriminator="kind"), OrOwn(CurateFilter)]

__all__ = [
    "AnyCurateFilter",
    "AnyVetFilter",
    "Corpus",
    "CurateFilter",
    "Decided",
    "Difficulty",
    "Doubted",
    "Dropped",
    "Duplicates",
    "SelfConsistency",
    "Shape",
    "VetFilter",
    "question_key",
]
