"""Which problems of a run repeat an earlier one, exactly or nearly: the one step that needs every problem at once.

Of each question 16 bytes are kept, and sorted; names are reread for the few copies. A million questions take at most 61
MiB, where a dictionary from each to its problem's name took 200 (measured); checking for near-copies takes 280 MB.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from stepforge.filters import NearDuplicates, question_key
from stepforge.filters.minhash import Signatures
from stepforge.pipelines.run.meanings import Meanings
from stepforge.pipelines.storage.shards import read_columns, row_count
from stepforge.pipelines.storage.store import AnyPath

KEY = np.dtype([("high", "u8"), ("low", "u8")])
TOGETHER = 2_000
"""Questions taken in at a time; a shard holds a few dozen."""


def duplicate_questions(shards: Sequence[AnyPath]) -> dict[str, str]:
    """Return problem id -> id of the first problem, in shard order, that asks the same question."""
    keys = bytearray()
    ends = []
    for path in shards:
        for question in read_columns(path, ["question"])["question"]:
            keys += bytes.fromhex(question_key(question))
        ends.append(len(keys) // KEY.itemsize)
    copies, firsts = _equal_rows(np.frombuffer(keys, KEY))
    names = _problem_names(shards, ends, sorted({*copies, *firsts}))
    return {names[copy]: names[first] for copy, first in zip(copies, firsts, strict=True)}


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
    names = _problem_names(shards, ends, sorted({*earlier, *earlier.values()}))
    return {names[copy]: names[first] for copy, first in earlier.items()}


def _equal_rows(keys: NDArray[np.void]) -> tuple[list[int], list[int]]:
    """Return the rows with a repeated key, and for each the first row that has it."""
    order = np.lexsort((keys["low"], keys["high"]))  # stable: rows of one key stay in their order
    in_order = keys[order]
    new = np.ones(len(keys), bool)
    new[1:] = in_order[1:] != in_order[:-1]
    first = order[new][np.cumsum(new) - 1]
    return order[~new].tolist(), first[~new].tolist()


def _problem_names(shards: Sequence[AnyPath], ends: Sequence[int], rows: Sequence[int]) -> dict[int, str]:
    """Return the problem ids of some rows, counted through all shards; only the shards that hold them are read."""
    by_shard: dict[int, list[int]] = {}
    for row in rows:
        by_shard.setdefault(bisect_right(ends, row), []).append(row)
    names: dict[int, str] = {}
    for shard, wanted in by_shard.items():
        ids = read_columns(shards[shard], ["id"])["id"]
        start = ends[shard] - len(ids)
        names |= {row: ids[row - start] for row in wanted}
    return names
