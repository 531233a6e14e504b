"""Which problems of a run ask nearly what an earlier one asked; a million take 280 MB."""

from collections.abc import Sequence
from itertools import accumulate

from stepforge.filters import NearDuplicates
from stepforge.filters.minhash import Signatures
from stepforge.pipelines.run.duplicate_questions import problem_names
from stepforge.pipelines.run.meanings import Meanings
from stepforge.pipelines.storage.shards import read_columns, row_count
from stepforge.pipelines.storage.store import AnyPath

TOGETHER = 2_000
"""Questions taken in at a time; a shard holds a few dozen."""


def near_duplicates(shards: Sequence[AnyPath], part: NearDuplicates) -> dict[str, str]:
    """Return problem id -> id of an earlier problem, in shard order, that asks nearly the same and is kept."""
    ends = list(accumulate(row_count(path) for path in shards))
    numbers = part.numbers == "same"
    total = ends[-1] if ends else 0
    signatures: Meanings | Signatures = Signatures(total, numbers=numbers)
    if part.model is not None:
        signatures = Meanings(part.model, numbers=numbers)
    some: list[str] = []
    for path in shards:
        some += read_columns(path, ["question"])["question"]
        if len(some) >= TOGETHER:
            signatures.add(some)
            some = []
    signatures.add(some)
    earlier = signatures.earlier(part.similarity)
    names = problem_names(shards, ends, sorted({*earlier, *earlier.values()}))
    return {names[copy]: names[first] for copy, first in earlier.items()}
