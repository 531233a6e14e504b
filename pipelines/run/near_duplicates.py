"""Which problems of a run ask nearly what an earlier one asked: MinHash signatures in bands, held in two arrays.

A signature is 120 hashes in 20 bands of 6. Of each question one number a band and one byte a hash are kept, 280 bytes;
bands are sorted one after the other, and what falls together is compared by the bytes. At a similarity of 0.8 a pair is
found with probability 0.998, at 0.7 with 0.92 (and then mostly refused by the comparison).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepforge.filters import NearDuplicates
from stepforge.filters.shingles import question_shingles
from stepforge.pipelines.run.duplicate_questions import problem_names
from stepforge.pipelines.storage.shards import read_columns, row_count
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.seeds import seed_of

BANDS, ROWS = 20, 6
CHUNK = 2_000
"""Questions whose signatures are made, or pairs that are compared, at a time."""
_SEED = 1
_MIX = np.array([seed_of("band", i) | 1 for i in range(ROWS + 1)], np.uint64)


def near_duplicates(shards: Sequence[AnyPath], part: NearDuplicates) -> dict[str, str]:
    """Return problem id -> id of an earlier problem, in shard order, that asks nearly the same and is kept.

    Raises:
        RunFailed: a shard is damaged.
    """
    ends = np.cumsum([row_count(path) for path in shards], dtype=np.int64).tolist()
    total = ends[-1] if ends else 0
    keys, marks = np.zeros((total, BANDS), np.uint64), np.zeros((total, BANDS * ROWS), np.uint8)
    start = 0
    for path in shards:
        questions = read_columns(path, ["question"])["question"]
        for first in range(0, len(questions), CHUNK):
            some = questions[first : first + CHUNK]
            keys[start : start + len(some)], marks[start : start + len(some)] = _signed(some, part)
            start += len(some)
    earlier = _kept_first(_pairs(keys, marks, part.similarity))
    names = problem_names(shards, ends, sorted({*earlier, *earlier.values()}))
    return {names[copy]: names[first] for copy, first in earlier.items()}


def _signed(questions: Sequence[str], part: NearDuplicates) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """Return the bands' keys and the low bytes of the signatures; numbers that count are part of every key."""
    from rensa import RMinHash  # an extra

    sets, numbers = zip(*(question_shingles(q, numbers=part.numbers == "same") for q in questions), strict=True)
    made: Any = RMinHash.digests_from_token_sets([sorted(s) for s in sets], num_perm=BANDS * ROWS, seed=_SEED)
    signatures = np.array(made, np.uint64)
    told = np.array([seed_of(text) for text in numbers], np.uint64)
    keys = (signatures.reshape(-1, BANDS, ROWS) * _MIX[:ROWS]).sum(axis=2, dtype=np.uint64)
    keys = (keys ^ (keys >> np.uint64(29))) * _MIX[0] + told[:, None] * _MIX[ROWS]
    return keys, signatures.astype(np.uint8)


def _pairs(keys: NDArray[np.uint64], marks: NDArray[np.uint8], similarity: float) -> NDArray[np.int64]:
    """Return pairs of rows (earlier, later) that are alike, ordered by the later one."""
    found = [np.empty((0, 2), np.int64)]
    for band in range(BANDS):
        for pairs in _together(keys[:, band]):
            same = (marks[pairs[:, 0]] == marks[pairs[:, 1]]).mean(axis=1)
            found.append(pairs[(same - 1 / 256) / (1 - 1 / 256) >= similarity])  # two bytes agree by chance as well
        found = [np.unique(np.concatenate(found), axis=0)]
    pairs = found[0]
    return pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))]


def _together(keys: NDArray[np.uint64]) -> Iterator[NDArray[np.int64]]:
    """Yield pairs of rows of one key: each with the first that has it, and with the one before it."""
    order = np.argsort(keys, kind="stable")
    later = np.flatnonzero(keys[order][1:] == keys[order][:-1]) + 1
    new = np.ones(len(keys), bool)
    new[later] = False
    firsts = order[np.flatnonzero(new)][np.cumsum(new) - 1]
    for start in range(0, len(later), CHUNK * 16):
        some = later[start : start + CHUNK * 16]
        yield np.concatenate(
            [np.stack([firsts[some], order[some]], axis=1), np.stack([order[some - 1], order[some]], axis=1)]
        )


def _kept_first(pairs: NDArray[np.int64]) -> dict[int, int]:
    """Return later row -> earlier row, for later rows that are like one that is itself kept."""
    earlier: dict[int, int] = {}
    for one, other in pairs.tolist():
        if one not in earlier:
            earlier.setdefault(other, one)
    return earlier
