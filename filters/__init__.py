"""Filters: keep a row, or drop it with a reason. Two unions written out by hand: before labels, and after."""

from typing import Annotated

from pydantic import Field

from stepforge.filters.contamination import Contamination as Contamination
from stepforge.filters.contamination import HeldOut as HeldOut
from stepforge.filters.difficulty import Difficulty as Difficulty
from stepforge.filters.distinct_solutions import DistinctSolutions as DistinctSolutions
from stepforge.filters.dropped import Corpus as Corpus
from stepforge.filters.dropped import CurateFilter as CurateFilter
from stepforge.filters.dropped import Dropped as Dropped
from stepforge.filters.dropped import VetFilter as VetFilter
from stepforge.filters.duplicates import Duplicates as Duplicates
from stepforge.filters.duplicates import NearDuplicates as NearDuplicates
from stepforge.filters.duplicates import question_key as question_key
from stepforge.filters.labels import Consistent as Consistent
from stepforge.filters.labels import Decided as Decided
from stepforge.filters.labels import Doubted as Doubted
from stepforge.filters.language import Language as Language
from stepforge.filters.self_consistency import SelfConsistency as SelfConsistency
from stepforge.filters.shape import Shape as Shape
from stepforge.filters.wrong_reference import WrongReference as WrongReference
from stepforge.schemas.own_part import OrOwn

AnyVetFilter = Annotated[
    SelfConsistency | WrongReference | Difficulty | Duplicates | NearDuplicates | Contamination | Language | Shape,
    Field(discriminator="kind"),
    OrOwn(VetFilter),
]
AnyCurateFilter = Annotated[
    Decided | Consistent | DistinctSolutions | Doubted, Field(discriminator="kind"), OrOwn(CurateFilter)
]
