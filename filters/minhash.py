"""MinHash signatures in bands (Broder 1997), held in two arrays: which texts nearly repeat an earlier one.

A signature is 120 hashes in 20 bands of 6. Each text keeps one number per band and one byte per hash, 280 bytes; bands
are sorted one after another, and texts that share a band are compared by the bytes. At a similarity of 0.8 a pair is
found with probability 0.998, at 0.7 with 0.92 (and then mostly rejected by the comparison).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepforge.filters.shingles import question_shingles
from stepforge.schemas.seeds import seed_of

BANDS, ROWS = 20, 6
CHUNK = 2_000
"""Batch size for signatures and for pair comparisons."""
_SEED = 1
_MIX = np.array([seed_of("band", i) | 1 for i in range(ROWS + 1)], np.uint64)


class Signatures:
    """Signatures of a known number of questions, taken in one after the other."""

    def __init__(self, total: int, *, numbers: bool) -> None:
        """``numbers``: questions with other numbers are never alike."""
        self._keys = np.zeros((total, BANDS), np.uint64)
        self._marks = np.zeros((total, BANDS * ROWS), np.uint8)
        self._numbers = numbers
        self._count = 0

    def add(self, questions: Sequence[str]) -> None:
        for first in range(0, len(questions), CHUNK):
            some = questions[first : first + CHUNK]
            rows = slice(self._count, self._count + len(some))
            self._keys[rows], self._marks[rows] = _signed(some, self._numbers)
            self._count += len(some)

    def earlier(self, similarity: float) -> dict[int, int]:
        """Map each question that nearly repeats an earlier, kept one to that one's number."""
        found: dict[int, int] = {}
        for one, other in _pairs(self._keys, self._marks, similarity).tolist():
            if one not in found:
                found.setdefault(other, one)
        return found


def _signed(questions: Sequence[str], numbers_count: bool) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """Return the bands' keys and the low bytes of the signatures; numbers that count are part of every key."""
    from rensa import RMinHash  # an extra

    sets, numbers = zip(*(question_shingles(q, numbers=numbers_count) for q in questions), strict=True)
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
    alike: NDArray[np.int64] = found[0]
    return np.asarray(alike[np.lexsort((alike[:, 0], alike[:, 1]))])


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
