"""Filters: keep a row, or drop it with a reason. Two unions written out by hand: before labels, and after."""

from typing import Annotated

from pydantic import Field

from stepforge.filters.contamination import Contamination, HeldOut
from stepforge.filters.difficulty import Difficulty
from stepforge.filters.distinct_solutions import DistinctSolutions
from stepforge.filters.doubted import Doubted
from stepforge.filters.dropped import Corpus, CurateFilter, Dropped, VetFilter
from stepforge.filters.duplicates import Duplicates, question_key
from stepforge.filters.labels import Consistent, Decided
from stepforge.filters.language import Language
from stepforge.filters.near_duplicates import NearDuplicates
from stepforge.filters.self_consistency import SelfConsistency
from stepforge.filters.shape import Shape
from stepforge.filters.wrong_reference import WrongReference
from stepforge.schemas.own_part import OrOwn

AnyVetFilter = Annotated[
    SelfConsistency | WrongReference | Difficulty | Duplicates | NearDuplicates | Contamination | Language | Shape,
    Field(discriminator="kind"),
    OrOwn(VetFilter),
]
AnyCurateFilter = Annotated[
    Decided | Consistent | DistinctSolutions | Doubted, Field(discriminator="kind"), OrOwn(CurateFilter)
]

__all__ = [
    "AnyCurateFilter",
    "AnyVetFilter",
    "Consistent",
    "Contamination",
    "Corpus",
    "CurateFilter",
    "Decided",
    "Difficulty",
    "DistinctSolutions",
    "Doubted",
    "Dropped",
    "Duplicates",
    "HeldOut",
    "Language",
    "NearDuplicates",
    "SelfConsistency",
    "Shape",
    "VetFilter",
    "WrongReference",
    "question_key",
]
